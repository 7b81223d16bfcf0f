/** The client side of TLS towards a backend, on a socket that is already connected. */

import { isIP, type Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { StageError } from "../errors.ts";
import { ALPN_POSTGRESQL } from "./acceptor.ts";
import { keepBackPressure } from "./back_pressure.ts";
import { boundContentless, boundHandshake } from "./handshake_bound.ts";

/** How pgtls presents itself to a TLS server. */
export interface ConnectorOptions {
  /** DNS name or IP address; a DNS name is sent as SNI. */
  readonly serverName: string;
  /** PEM of pgtls's own certificate chain and its key; both `null` to present none. */
  readonly certPem: string | null;
  readonly keyPem: string | null;
  readonly signal: AbortSignal;
}

/**
 * Completes the client's handshake on `socket` and sends pgtls's own certificate where the route has one.
 *
 * Nothing is decided here about who the backend is: the caller hands the presented chain to `verifyBackend`
 * before a byte of PostgreSQL is sent. `ca: []` keeps the runtime from parsing public roots it would not be
 * asked about, `rejectUnauthorized: false` from deciding (docs/decisions/0001).
 *
 * @throws {StageError} `backend_tls_refused` when TLS fails; the reason of `signal` when that comes first.
 *   The caller destroys the socket.
 */
export function connectTls(socket: Socket, options: ConnectorOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const { serverName, certPem, keyPem, signal } = options;
    if (signal.aborted) return reject(signal.reason);
    const secured = connect({
      socket,
      // RFC 6066 section 3: SNI carries DNS names only.
      ...(isIP(serverName) === 0 ? { servername: serverName } : { host: serverName }),
      ALPNProtocols: [ALPN_POSTGRESQL],
      ca: [],
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ...(certPem === null || keyPem === null ? {} : { cert: certPem, key: keyPem }),
    });
    const settle = (finish: () => void) => {
      stopCounting();
      signal.removeEventListener("abort", onAbort);
      secured.removeListener("error", onError);
      secured.removeListener("close", onClose);
      finish();
    };
    const onError = (error: Error) => settle(() => reject(tlsRefused(error.message, error)));
    const onClose = () => settle(() => reject(tlsRefused("the backend closed the connection")));
    const onAbort = () => settle(() => reject(signal.reason));
    const stopCounting = boundHandshake(socket, onError);
    signal.addEventListener("abort", onAbort);
    secured.on("error", onError);
    secured.on("close", onClose);
    secured.once("secureConnect", () => {
      keepBackPressure(secured);
      boundContentless(socket, secured);
      settle(() => resolve(secured));
    });
    // An error after the promise is settled must not end the process.
    secured.on("error", ignore);
  });
}

function ignore(): void {}

function tlsRefused(detail: string, cause?: Error): StageError {
  return new StageError(
    "backend_tls_refused",
    `Could not complete the TLS handshake with the backend: ${detail}`,
    {
      cause,
    },
  );
}
