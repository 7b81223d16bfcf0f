/** One login over TLS, as cheaply as it can be had: for the programs that are clients and nothing else. */

import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

/**
 * SSLRequest, TLS, StartupMessage.
 *
 * @returns The session, at the server's first ReadyForQuery.
 */
export async function logIn(port: number): Promise<Socket> {
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
