/**
 * The server side of TLS on a socket somebody else accepted, possibly after plaintext bytes (SSLRequest).
 *
 * The runtime only does the cryptography: with `rejectUnauthorized: false` and no `ca` it asks for a certificate
 * and proves that the client holds its key, and leaves the decision to `verify.ts`. See docs/decisions/0001.
 */

import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { StageError } from "../errors.ts";
import { keepBackPressure } from "./back_pressure.ts";
import { boundContentless, boundHandshake } from "./handshake_bound.ts";
import type { ListenerMaterial } from "./material.ts";

/** Options of {@linkcode TlsAcceptor}. */
export interface AcceptorOptions {
  readonly minVersion: "1.2" | "1.3";
  /** Whether a client certificate is asked for. Whether one is *required* is decided in `verify.ts`. */
  readonly requestCertificate: boolean;
  /** ALPN protocols to select from; a client that offers others alone is refused. @default ["postgresql"] */
  readonly alpnProtocols?: readonly string[];
}

/** One `tls.Server` that never listens; sockets are handed to it one by one. */
export class TlsAcceptor {
  readonly #server: Server;
  readonly #pending = new Map<Socket, Pending>();

  constructor(material: ListenerMaterial, options: AcceptorOptions) {
    this.#server = createServer({
      cert: material.certPem,
      key: material.keyPem,
      minVersion: options.minVersion === "1.3" ? "TLSv1.3" : "TLSv1.2",
      ALPNProtocols: [...options.alpnProtocols ?? [ALPN_POSTGRESQL]],
      requestCert: options.requestCertificate,
      rejectUnauthorized: false,
      // Off: startup_timeout covers the handshake, and may be longer than the runtime's two minutes.
      handshakeTimeout: 2 ** 31 - 1,
    });
    this.#server.on("secureConnection", (socket) => {
      // Here and not after the promise: what came with the client's last flight is read before that settles.
      keepBackPressure(socket);
      this.#settle(socket)?.resolve(socket);
    });
    this.#server.on(
      "tlsClientError",
      (error, socket) => this.#settle(socket)?.reject(handshakeFailed(error)),
    );
  }

  /**
   * Completes the server's handshake on `socket`. Bytes already read must have been given back (`unshift`).
   *
   * @throws {StageError} `handshake_failed` when TLS fails; the reason of `signal` when that comes first.
   *   The caller destroys the socket.
   */
  accept(socket: Socket, signal: AbortSignal): Promise<TLSSocket> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (socket.destroyed) return reject(handshakeFailed(new Error(CLIENT_GONE)));
      const { allowHalfOpen } = socket;
      const settle = (finish: () => void) => {
        this.#pending.delete(socket);
        stopCounting();
        signal.removeEventListener("abort", onAbort);
        socket.removeListener("close", onClose);
        finish();
      };
      const pending = {
        resolve: (secured: TLSSocket) => {
          socket.allowHalfOpen = secured.allowHalfOpen = allowHalfOpen;
          boundContentless(socket, secured);
          settle(() => resolve(secured));
        },
        reject: (error: unknown) => settle(() => reject(error)),
      };
      const onAbort = () => pending.reject(signal.reason);
      const onClose = () => pending.reject(handshakeFailed(new Error(CLIENT_GONE)));
      const stopCounting = boundHandshake(socket, (error) => pending.reject(handshakeFailed(error)));
      this.#pending.set(socket, pending);
      signal.addEventListener("abort", onAbort);
      socket.on("close", onClose);
      // The TLS socket takes this from the one it wraps. Half-open, it says nothing of a client that leaves now.
      socket.allowHalfOpen = false;
      this.#server.emit("connection", socket);
    });
  }

  /**
   * The promise side of a TLS socket. `_parent` is the socket it wraps: undocumented, the same in Node.js,
   * and the only way to tell which connection a `secureConnection` event is about; held by acceptor_test.ts.
   */
  #settle(secured: TLSSocket): Pending | undefined {
    const wrapped = (secured as TLSSocket & { _parent?: Socket })._parent ?? secured;
    return this.#pending.get(wrapped);
  }
}

/** ALPN protocol ID of PostgreSQL, registered with IANA; libpq 17 and later send it in both negotiations. */
export const ALPN_POSTGRESQL = "postgresql";

const CLIENT_GONE = "client closed the connection";

interface Pending {
  resolve(secured: TLSSocket): void;
  reject(error: unknown): void;
}

function handshakeFailed(error: Error): StageError {
  return new StageError("handshake_failed", `Could not complete the TLS handshake: ${error.message}`, {
    cause: error,
  });
}
