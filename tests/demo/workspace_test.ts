import assert from "node:assert/strict";
import { startPostgres } from "../../src/demo/postgres.ts";

// Not through tests/support/postgres.ts, which keeps the workspace.

Deno.test("startPostgres() leaves no process and no folder behind after stop()", async () => {
  const server = await startPostgres({ hba: [] });
  const workspace = workspaceOf(server.dir);
  const { pid } = server;
  assert.ok((await Deno.stat(workspace)).isDirectory);
  assert.ok(isRunning(pid));
  await server.stop();
  assert.ok(!isRunning(pid));
  await assert.rejects(Deno.stat(workspace), Deno.errors.NotFound);
});

Deno.test("startPostgres() shares its workspace between servers and keeps it for the last one", async () => {
  const [first, second] = await Promise.all([startPostgres({ hba: [] }), startPostgres({ hba: [] })]);
  assert.equal(workspaceOf(first.dir), workspaceOf(second.dir));
  await first.stop();
  assert.deepEqual(await second.query("SELECT 1 AS one"), [{ one: 1 }]);
  await second.stop();
  await assert.rejects(Deno.stat(workspaceOf(second.dir)), Deno.errors.NotFound);
});

Deno.test("startPostgres() shows the log and cleans up when the server refuses its configuration", async () => {
  const error = await startPostgres({ hba: ["nonsense"] }).catch((error: Error) => error);
  assert.ok(error instanceof Error);
  assert.match(error.message, /invalid connection type "nonsense"/);
  const dir = error.message.match(/"(\/[^"]+)\/pg_hba\.conf"/)?.[1] ?? "";
  await assert.rejects(Deno.stat(workspaceOf(dir)), Deno.errors.NotFound);
});

Deno.test("startPostgres() is cleaned up after when its process is killed", async () => {
  const program = `
    import { startPostgres } from ${JSON.stringify(import.meta.resolve("../../src/demo/postgres.ts"))};
    const server = await startPostgres({ hba: [] });
    console.log(JSON.stringify({ dir: server.dir, pid: server.pid }));
    Deno.kill(Deno.pid, "SIGKILL");
  `;
  const script = new URL("./killed.tmp.ts", import.meta.url);
  await Deno.writeTextFile(script, program);
  try {
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", script.href],
    })
      .output();
    const { dir, pid } = JSON.parse(new TextDecoder().decode(stdout));
    await untilGone(workspaceOf(dir));
    assert.ok(!isRunning(pid));
  } finally {
    await Deno.remove(script);
  }
});

function workspaceOf(dir: string): string {
  const workspace = dir.replace(/\/clusters\/\d+$/, "");
  assert.notEqual(workspace, dir);
  return workspace;
}

/** Ended, or a zombie: a container without an init never removes those. */
function isRunning(pid: number): boolean {
  try {
    Deno.kill(pid, "SIGCONT");
  } catch {
    return false;
  }
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return true;
  }
}

/** Waits for another process to remove `path`. */
async function untilGone(path: string): Promise<void> {
  const end = performance.now() + 60_000;
  while (await Deno.stat(path).then(() => true, () => false)) {
    assert.ok(performance.now() < end, `${path} is still there`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
