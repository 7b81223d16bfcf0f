/**
 * Opens TLS sessions and holds them: `idle_clients.ts PORT COUNT`. Prints `ready` when all have logged in, and ends
 * when its standard input does, so that it cannot outlive the benchmark.
 */

import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

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

/** SSLRequest, TLS, StartupMessage; resolves at the server's first ReadyForQuery. */
async function logIn(port: number): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  socket.write(SSL_REQUEST);
  const answer = await nextChunk(socket);
  if (answer[0] !== YES) throw new Error(`Server does not offer TLS: it answered ${answer[0]} to SSLRequest`);
  // Who the server is does not matter here: the benchmark started it.
  const session = connectTls({ socket, servername: "localhost", rejectUnauthorized: false });
  session.write(startupMessage({ user: "postgres", database: "postgres" }));
  for (let chunk = await nextChunk(session); !endsReady(chunk); chunk = await nextChunk(session));
  return session;
}

function nextChunk(socket: Socket): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("Server closed the connection")));
    socket.once("data", (chunk: Uint8Array) => {
      socket.pause();
      socket.removeAllListeners("close");
      socket.off("error", reject);
      resolve(chunk);
    });
    socket.resume();
  });
}

/** https://www.postgresql.org/docs/current/protocol-message-formats.html, StartupMessage of protocol 3.0. */
function startupMessage(parameters: Readonly<Record<string, string>>): Uint8Array {
  const body = new TextEncoder().encode(`${Object.entries(parameters).flat().join("\0")}\0\0`);
  const message = new Uint8Array(8 + body.length);
  const view = new DataView(message.buffer);
  view.setUint32(0, message.length);
  view.setUint32(4, PROTOCOL_3_0);
  message.set(body, 8);
  return message;
}

/** ReadyForQuery, idle: `Z`, length 5, `I`. */
function endsReady(chunk: Uint8Array): boolean {
  return chunk.at(-6) === 0x5a && chunk.at(-1) === 0x49;
}

const SSL_REQUEST = new Uint8Array([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
const YES = 0x53;
const PROTOCOL_3_0 = 0x0003_0000;
const AT_A_TIME = 20;

// At the end: the constants above are not there before.
if (import.meta.main) await hold(Number(Deno.args[0]), Number(Deno.args[1]));
