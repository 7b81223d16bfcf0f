/** An address that does not answer, as behind a firewall that drops: a listener whose accept queue is full. */
import { connect, type Socket } from "node:net";

/** Starts it on a free port of 127.0.0.1. */
export async function startSilentListener() {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
  const { hostname: host, port } = listener.addr;
  const fillers: Socket[] = [];
  // The kernel completes connections until the queue is full, and drops SYNs from then on.
  do fillers.push(connectAndListen(host, port)); while (await isAnswered(fillers.at(-1)!, port));
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
}

function connectAndListen(host: string, port: number): Socket {
  const socket = connect({ host, port });
  return socket.on("error", () => {});
}

/** Whether a connection comes about. Not by the time it takes alone: this process may be held up longer than that. */
async function isAnswered(socket: Socket, port: number): Promise<boolean> {
  while (socket.connecting) {
    const quiet = setTimeout(() => socket.emit("quiet"), QUIET_MS);
    await new Promise((resolve) => socket.once("connect", resolve).once("quiet", resolve));
    clearTimeout(quiet);
    if (socket.connecting && isWaitingForAnswer(port)) return false;
  }
  return true;
}

/** Whether the kernel has sent a SYN to the port, and has had no answer to it. */
function isWaitingForAnswer(port: number): boolean {
  const remote = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const [, ...lines] = Deno.readTextFileSync("/proc/net/tcp").trim().split("\n");
  return lines.map((line) => line.trim().split(/\s+/)).some(([, , to, state]) =>
    to!.endsWith(remote) && state === SYN_SENT
  );
}

/** On the loopback interface an answer takes less than a millisecond. */
const QUIET_MS = 300;

const SYN_SENT = "02";
