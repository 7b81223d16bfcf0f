import assert from "node:assert/strict";
import { join } from "node:path";
import { changedPaths, Snapshot } from "../../src/config/snapshot.ts";

Deno.test("Snapshot reads a file once, and remembers also that it was not there", () => {
  inFolder((folder) => {
    const [present, absent] = [join(folder, "present"), join(folder, "absent")];
    Deno.writeTextFileSync(present, "one");
    const snapshot = new Snapshot();
    const first = snapshot.read(present);
    assert.throws(() => snapshot.read(absent), {
      message: `Cannot read file "${absent}": it does not exist`,
    });
    Deno.writeTextFileSync(present, "two");
    Deno.writeTextFileSync(absent, "now there");
    assert.equal(snapshot.read(present), first);
    assert.throws(() => snapshot.read(absent), /it does not exist/);
  });
});

Deno.test("Snapshot keeps what it knows of a file that says the same, and only of that", () => {
  inFolder((folder) => {
    const [same, other, gone, absent] = ["same", "other", "gone", "absent"].map((name) => join(folder, name));
    const paths = [same!, other!, gone!, absent!];
    for (const path of paths.slice(0, 3)) Deno.writeTextFileSync(path, path);
    const before = new Snapshot().pick(paths);
    Deno.removeSync(same!);
    Deno.writeTextFileSync(same!, same!);
    Deno.writeTextFileSync(other!, same!);
    Deno.removeSync(gone!);
    const after = new Snapshot(before).pick(paths);
    assert.deepEqual(changedPaths(before, after), [other, gone]);
    assert.equal(after.get(absent!), before.get(absent!));
  });
});

Deno.test("Snapshot takes another mode of a file for a change: a key may now be open to others", () => {
  inFolder((folder) => {
    const path = join(folder, "key");
    Deno.writeTextFileSync(path, "key", { mode: 0o600 });
    const before = new Snapshot().pick([path]);
    Deno.chmodSync(path, 0o644);
    assert.deepEqual(changedPaths(before, new Snapshot(before).pick([path])), [path]);
  });
});

function inFolder(action: (folder: string) => void): void {
  const folder = Deno.makeTempDirSync();
  try {
    action(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}
