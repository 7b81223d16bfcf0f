/** An address that does not answer, as behind a firewall that drops: a listener whose accept queue is full. */
import { connect, type Socket } from "node:net";

/** Starts it on a free port of 127.0.0.1. */
export async function startSilentListener() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { hostname: host, port } = listener.addr;
  const fillers: Socket[] = [];
  // The kernel completes connections until the queue is full, and drops SYNs from then on.
  while (await isAnswering()) { /* once more */ }
  const accepted: Deno.Conn[] = [];
  return {
    host,
    port,
    /** Takes everybody in from here on. */
    async wake() {
      for (let i = 0; i < fillers.length - 1; i++) accepted.push(await listener.accept());
    },
    [Symbol.asyncDispose]() {
      for (const socket of fillers) socket.destroy();
      for (const conn of accepted) conn.close();
      listener.close();
      return Promise.resolve();
    },
  };

  function isAnswering(): Promise<boolean> {
    const socket = connect({ host, port });
    fillers.push(socket);
    socket.on("error", () => {});
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), QUIET_MS);
      socket.once("connect", () => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }
}

/** On the loopback interface an answer takes less than a millisecond; a busy machine takes its time. */
const QUIET_MS = 300;
