/** Memory of the proxy for connections that do nothing, which is what most connections do. */

import { fileURLToPath } from "node:url";
import { PGTLS, proxies, type Proxy, STUNNEL, through } from "./contestants.ts";
import { PGBOUNCER } from "./peers.ts";
import type { Contestant, Figure } from "./figure.ts";
import { kill, type ServerProcess, sleep, track } from "./process.ts";
import { runPgbench } from "./programs.ts";
import type { Stage } from "./stage.ts";

const PEERS = [STUNNEL, PGBOUNCER];

/** Sessions that have logged in over TLS and wait, on a fresh process each round. */
export const memory: Figure = {
  name: "memory",
  title: "Memory: idle TLS sessions on a fresh process, plaintext backend",
  metrics: [
    { key: "before", title: "MB before", digits: 1 },
    { key: "added", title: "MB added", digits: 1 },
    { key: "each", title: "kB a session", digits: 1 },
  ],
  comparisons: PEERS.map((to) => ({ of: PGTLS, to, metric: "added" })),
  open: (stage) => Promise.resolve(proxies(stage, PEERS).map((proxy) => contestant(stage, proxy))),
};

function contestant(stage: Stage, proxy: Proxy): Contestant {
  return {
    name: proxy.name,
    measure: async () => {
      await using server = await proxy.start("plaintext");
      await warmUp(stage, proxy, server);
      const before = await settledRss(server);
      await using _clients = await IdleClients.connect(server.port, stage.effort.idleConnections);
      const after = await settledRss(server);
      const added = after - before;
      return { before: before / 1e6, added: added / 1e6, each: added / 1e3 / stage.effort.idleConnections };
    },
  };
}

/** What is loaded and compiled at the first connections is not the price of the next. */
async function warmUp({ programs }: Stage, proxy: Proxy, server: ServerProcess): Promise<void> {
  await runPgbench(programs.pgbench, through(proxy, server), ["-n", "-C", "-S", "-c", "2", "-t", "50"]);
}

async function settledRss(server: ServerProcess): Promise<number> {
  await sleep(SETTLE_MS);
  return server.rssBytes();
}

/** A process of its own that holds sessions open. */
class IdleClients implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
  }

  /** @throws {Error} If not all of them get through. */
  static async connect(port: number, count: number): Promise<IdleClients> {
    const program = fileURLToPath(new URL("./idle_clients.ts", import.meta.url));
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--allow-net=127.0.0.1",
        "--allow-env",
        "--allow-sys",
        "--allow-read",
        program,
        String(port),
        String(count),
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    track(child);
    const clients = new IdleClients(child);
    const reader = child.stdout.getReader();
    const { done } = await reader.read();
    reader.releaseLock();
    if (!done) return clients;
    await clients[Symbol.asyncDispose]();
    throw new Error(`Could not open ${count} sessions on port ${port}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    kill(this.#child, "SIGTERM");
    await this.#child.stdin.abort().catch(() => {});
    await this.#child.stdout.cancel().catch(() => {});
    await this.#child.status;
  }
}

// Longer than V8 waits before it gives back what it does not need any more.
const SETTLE_MS = 3_000;
