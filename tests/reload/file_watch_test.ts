import assert from "node:assert/strict";
import { join } from "node:path";
import { FileWatch } from "../../src/reload/file_watch.ts";

Deno.test("FileWatch tells of a change when the files are at rest, once, and of what changed before its first look", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "file");
    await Deno.writeTextFile(path, "one");
    const { look, told } = await watching([path]);
    await Deno.writeTextFile(path, "two, longer");
    await look();
    assert.equal(told(), 0, "it may still be written to");
    await look();
    assert.equal(told(), 1);
    for (let i = 0; i < 5; i++) await look();
    assert.equal(told(), 1);
  });
});

Deno.test("FileWatch notices a file that was renamed over another with the same size and times", async () => {
  await inFolder(async (folder) => {
    const [path, next] = [join(folder, "file"), join(folder, "next")];
    const time = new Date(Date.now() - 60_000);
    for (const file of [path, next]) {
      await Deno.writeTextFile(file, "same size");
      await Deno.utime(file, time, time);
    }
    const { look, told } = await watching([path]);
    await Deno.rename(next, path);
    await look();
    await look();
    assert.equal(told(), 1);
  });
});

Deno.test("FileWatch notices a folder swapped behind a symbolic link, as Kubernetes does it", async () => {
  await inFolder(async (folder) => {
    await writeFolder(folder, "..1", "one");
    await Deno.symlink("..1", join(folder, "..data"));
    await Deno.symlink("..data/tls.crt", join(folder, "tls.crt"));
    const { look, told } = await watching([join(folder, "tls.crt")]);
    await writeFolder(folder, "..2", "two");
    await Deno.symlink("..2", join(folder, "..data_tmp"));
    await Deno.rename(join(folder, "..data_tmp"), join(folder, "..data"));
    await Deno.remove(join(folder, "..1"), { recursive: true });
    await look();
    await look();
    assert.equal(told(), 1);
  });
});

Deno.test("FileWatch does not tell of a file that is missing for a moment and comes back", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "file");
    await Deno.writeTextFile(path, "one");
    const { look, told } = await watching([path]);
    await Deno.remove(path);
    await look();
    assert.equal(told(), 0);
    await Deno.writeTextFile(path, "two");
    await look();
    assert.equal(told(), 0);
    await look();
    assert.equal(told(), 1, "only once everything is there");
  });
});

Deno.test("FileWatch tells of files that never rest, too", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "file");
    await Deno.writeTextFile(path, "");
    const { look, told } = await watching([path]);
    for (let i = 0; i < 8; i++) {
      await Deno.writeTextFile(path, "x", { append: true });
      await look();
    }
    assert.equal(told(), 2);
  });
});

Deno.test("FileWatch goes on after what it told has failed", async () => {
  let looks = 0;
  const failed: unknown[] = [];
  const onFailure = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    failed.push(event.reason);
  };
  addEventListener("unhandledrejection", onFailure);
  const done = Promise.withResolvers<void>();
  const watch = new FileWatch({
    // Another file at every look: it is told of at every fourth.
    paths: () => [`/nonexistent/${++looks}`],
    onChange: () => {
      if (failed.length > 0) done.resolve();
      return Promise.reject(new Error("on purpose"));
    },
    intervalMs: 1,
  });
  watch.start();
  await done.promise;
  watch.stop();
  await new Promise((resolve) => setTimeout(resolve, 10));
  removeEventListener("unhandledrejection", onFailure);
  assert.match(String(failed[0]), /on purpose/);
});

/** A watch that has told what there is to tell at the start. */
async function watching(paths: readonly string[]) {
  let told = 0;
  const onChange = () => {
    told++;
    return Promise.resolve();
  };
  const watch = new FileWatch({ paths: () => paths, onChange });
  await watch.look();
  await watch.look();
  assert.equal(told, 1, "what changed before the first look");
  told = 0;
  return { look: () => watch.look(), told: () => told };
}

async function writeFolder(folder: string, name: string, content: string): Promise<void> {
  await Deno.mkdir(join(folder, name));
  await Deno.writeTextFile(join(folder, name, "tls.crt"), content);
}

async function inFolder(action: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await action(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
