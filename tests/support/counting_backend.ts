/** A backend that counts who comes: for tests in which nobody may. */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { bytesOf } from "../wire/bytes.ts";

/** A plaintext PostgreSQL that lets everybody in and knows no query. */
export interface CountingBackend extends AsyncDisposable {
  /** The `backend` table of a route that leads here. */
  readonly backend: { readonly address: string; readonly tls_enabled: false };
  /** How many connections were accepted so far. */
  accepts(): number;
}

/** Starts it on a free port; it answers any first packet with AuthenticationOk and ReadyForQuery. */
export async function startCountingBackend(): Promise<CountingBackend> {
  const sockets = new Set<Socket>();
  let accepts = 0;
  const server = createServer((socket) => {
    accepts++;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", () => socket.write(WELCOME));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    backend: { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, tls_enabled: false },
    accepts: () => accepts,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** AuthenticationOk, ReadyForQuery (idle). */
const WELCOME = bytesOf("R\0\0\0\x08\0\0\0\0", "Z\0\0\0\x05I");
