/** TLS as one writes it who trusts the runtime: what pgtls must do better is first shown to go wrong here. */
import { type AddressInfo, createServer as listen } from "node:net";
import { createServer, type TlsOptions, type TLSSocket } from "node:tls";
import type { Ca, Leaf } from "./pki.ts";

/** A TLS server without PostgreSQL, on a free port. */
export interface NaiveServer extends AsyncDisposable {
  readonly port: number;
}

/** Those of the runtime, and who is told of failed handshakes. */
export interface NaiveOptions extends TlsOptions {
  readonly onClientError?: (error: Error) => void;
}

/** The options that are supposed to require a certificate of `ca`. */
export function requiring(ca: Pick<Ca, "certPem">): TlsOptions {
  return { requestCert: true, rejectUnauthorized: true, ca: ca.certPem };
}

/** Serves `leaf`, and says `let in` and whether `authorized` to every client that completes the handshake. */
export async function startNaiveServer(leaf: Leaf, options: NaiveOptions): Promise<NaiveServer> {
  const { onClientError = () => {}, ...rest } = options;
  const tls = createServer({ cert: leaf.chainPem, key: leaf.keyPem, ...rest });
  tls.on("secureConnection", (socket: TLSSocket) => {
    socket.on("error", () => {});
    socket.write(`let in, authorized: ${socket.authorized}\n`);
    socket.resume();
  });
  tls.on("tlsClientError", onClientError);
  // The runtime's own `listen` of a TLS server and this are the same code; so is what pgtls does after `S`.
  const server = listen((socket) => {
    open.add(socket);
    socket.on("error", () => {});
    tls.emit("connection", socket);
  });
  const open = new Set<{ destroy(): void }>();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/** What a client of {@linkcode startNaiveServer} reads when it got through. */
export const LET_IN = /let in, authorized: (true|false)/;
