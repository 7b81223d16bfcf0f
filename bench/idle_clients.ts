/**
 * Opens TLS sessions and holds them: `idle_clients.ts PORT COUNT`. Prints `ready` when all have logged in, and ends
 * when its standard input does, so that it cannot outlive the benchmark.
 */

import type { Socket } from "node:net";
import { logIn } from "./log_in.ts";

/** Opens `count` sessions, some at a time, and keeps them until the end of standard input. */
async function hold(port: number, count: number): Promise<void> {
  const sessions: Socket[] = [];
  while (sessions.length < count) {
    const batch = Array.from({ length: Math.min(AT_A_TIME, count - sessions.length) }, () => logIn(port));
    sessions.push(...await Promise.all(batch));
  }
  await Deno.stdout.write(new TextEncoder().encode("ready\n"));
  while (await Deno.stdin.read(new Uint8Array(1)) !== null);
  for (const session of sessions) session.destroy();
  Deno.exit(0);
}

const AT_A_TIME = 20;

// At the end: the constant above is not there before.
if (import.meta.main) await hold(Number(Deno.args[0]), Number(Deno.args[1]));
