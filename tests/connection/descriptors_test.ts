import assert from "node:assert/strict";
import {
  DescriptorBudget,
  forgetConnections,
  openConnections,
  sharedDescriptors,
} from "../../src/connection/descriptors.ts";

Deno.test("DescriptorBudget waits for what another isolate is trying out, instead of turning somebody away", async () => {
  await using pipe = await makePipe();
  const memory = sharedDescriptors(2);
  const budget = new DescriptorBudget({ file: "/dev/null", memory, isolate: 0 });
  await using _other = await proving(pipe.path, memory);
  // Nothing has been proven yet, and the other one is caught in opening the pipe.
  await pipe.openSoon();
  assert.equal(budget.admits(), true);
});

Deno.test("DescriptorBudget does not wait for an isolate that has died while it was trying", async () => {
  await using pipe = await makePipe();
  const memory = sharedDescriptors(2);
  const budget = new DescriptorBudget({ file: "/dev/null", memory, isolate: 0 });
  await using _other = await proving(pipe.path, memory);
  forgetConnections(memory, 1);
  const admits = budget.admits();
  await pipe.openSoon();
  assert.equal(admits, true);
});

Deno.test("DescriptorBudget counts the connections of all isolates, but those of one that has died", () => {
  const memory = sharedDescriptors(2);
  const [first, second] = [0, 1].map((isolate) =>
    new DescriptorBudget({ file: "/dev/null", memory, isolate })
  );
  first!.open = 3;
  second!.open = 4;
  assert.equal(openConnections(memory), 7);
  forgetConnections(memory, 1);
  assert.equal(openConnections(memory), 3);
});

Deno.test("DescriptorBudget admits more with every connection, as far as there are files", () => {
  const memory = sharedDescriptors(2);
  const budget = new DescriptorBudget({ file: "/dev/null", memory, isolate: 0 });
  budget.proveAtStart();
  for (const open of [50, 100, 400, 1_000]) {
    budget.open = open;
    assert.equal(budget.admits(), true, `with ${open} connections`);
  }
});

/** Another isolate, caught in trying out how often `file` can be opened. */
async function proving(file: string, memory: SharedArrayBuffer): Promise<AsyncDisposable> {
  const worker = new Worker(new URL("./descriptors_prover.ts", import.meta.url), { type: "module" });
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  worker.onmessage = ({ data }) => data === "begins" ? begun.resolve() : ended.resolve();
  worker.postMessage({ file, memory });
  await begun.promise;
  // From here to the first open it is some microseconds.
  await new Promise((resolve) => setTimeout(resolve, 100));
  return {
    [Symbol.asyncDispose]: async () => {
      await ended.promise;
      worker.terminate();
    },
  };
}

/** A pipe that nobody can open for reading, until somebody opens it for writing. */
async function makePipe() {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-descriptors-" });
  const path = `${dir}/pipe`;
  assert.ok((await new Deno.Command("mkfifo", { args: [path] }).output()).success);
  // Says when it has started, and opens the pipe a moment after it was told to: this thread is waiting then.
  const script = `echo started; read -r _; sleep 0.2; exec 3<>"$0"; read -r _`;
  const child = new Deno.Command("sh", { args: ["-c", script, path], stdin: "piped", stdout: "piped" })
    .spawn();
  const told = child.stdin.getWriter();
  await child.stdout.values().next();
  return {
    path,
    openSoon: () => told.write(new TextEncoder().encode("now\n")),
    [Symbol.asyncDispose]: async () => {
      await told.close();
      await child.status;
      await Deno.remove(dir, { recursive: true });
    },
  };
}
