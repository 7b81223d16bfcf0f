/**
 * Logs in and out at a steady rate: `steady_clients.ts RATE PORT…`. Takes the ports in turn, prints one line a login,
 * when it was due (milliseconds since 1970) and how many milliseconds it took, and ends when its standard input does.
 */

import { logIn } from "./log_in.ts";

/** A login that is late because this program is busy has waited, too: its time runs from when it was due. */
async function keepUp(rate: number, ports: readonly number[]): Promise<void> {
  const startedAt = performance.now();
  for (let count = 0;; count++) {
    const dueAt = startedAt + count * 1_000 / rate;
    await until(dueAt);
    logInAndOut(ports[count % ports.length]!, dueAt);
  }
}

async function logInAndOut(port: number, dueAt: number): Promise<void> {
  const session = await logIn(port);
  const took = performance.now() - dueAt;
  session.end(TERMINATE);
  // Its end says nothing more.
  session.on("error", () => {});
  session.resume();
  console.log(`${(performance.timeOrigin + dueAt).toFixed(2)} ${took.toFixed(2)}`);
}

function until(time: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, time - performance.now())));
}

async function endWithInput(): Promise<never> {
  while (await Deno.stdin.read(new Uint8Array(1)) !== null);
  Deno.exit(0);
}

// Type, length: the message that ends a session.
const TERMINATE = new Uint8Array([0x58, 0, 0, 0, 4]);

// At the end: the constants above are not there before.
if (import.meta.main) {
  const [rate = 1, ...ports] = Deno.args.map(Number);
  endWithInput();
  await keepUp(rate, ports);
}
