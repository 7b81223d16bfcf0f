/** Stage 7: dial the backend, negotiate TLS, verify it. Takes `Authorized`, gives `Connected`. */

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { BackendConfig, RouteConfig } from "../config/types.ts";
import { type ErrorAnswer, ProtocolError, StageError } from "../errors.ts";
import { ALPN_POSTGRESQL } from "../tls/acceptor.ts";
import { type ConnectorOptions, connectTls } from "../tls/connector.ts";
import type { BackendMaterial } from "../tls/material.ts";
import { presentedChain, tlsFacts } from "../tls/peer.ts";
import type { TlsFacts } from "../tls/record.ts";
import { type VerifiedPeer, verifyBackend } from "../tls/verify.ts";
import { BackendNegotiation } from "../wire/backend_negotiation.ts";
import { MAX_STARTUP_PACKET_BYTES } from "../wire/startup_packet.ts";
import { Deadline } from "./deadline.ts";
import { dial, type DialOptions } from "./dial.ts";
import { describeAddress, readSome } from "./socket.ts";

/** A connection to the backend on which PostgreSQL may be spoken. */
export interface Backend {
  readonly stream: Socket;
  readonly address: string;
  /** The proof that it is the right one; `null` if and only if the route's backend leg is plaintext. */
  readonly peer: VerifiedPeer | null;
  readonly tls: TlsFacts | null;
}

/** `connect_timeout`, which covers TCP, TLS and verification; the longest of several. The caller clears it. */
export function connectDeadline(...backends: readonly BackendConfig[]): Deadline {
  const connectTimeoutMs = Math.max(...backends.map((backend) => backend.connectTimeoutMs));
  const late = `Could not reach the backend within ${connectTimeoutMs} ms (connect_timeout)`;
  return new Deadline(connectTimeoutMs, "backend_timeout", late);
}

/**
 * Connects to the route's backend.
 *
 * @throws {StageError} `backend_unreachable`, `backend_tls_refused`, `backend_error`, `backend_untrusted` (with a
 *   PeerRejectedError as its cause), or the signal's reason.
 */
export async function connectBackend(
  route: { readonly config: RouteConfig; readonly material: { readonly backend: BackendMaterial | null } },
  options: DialOptions,
): Promise<Backend> {
  const { address, negotiation } = route.config.backend;
  const socket = await dial(address, options);
  const material = route.material.backend;
  const backendAddress = describeAddress(address);
  if (material === null) return { stream: socket, address: backendAddress, peer: null, tls: null };
  const { certPem, keyPem, policy: { serverName } } = material;
  const { signal, onSocket } = options;
  const secured = await secureBackend(socket, { serverName, certPem, keyPem, negotiation, signal });
  onSocket(secured);
  return { stream: secured, address: backendAddress, ...verify(secured, material) };
}

/** Options of {@linkcode secureBackend}. */
export interface SecureOptions extends ConnectorOptions {
  readonly negotiation: "postgres" | "direct";
}

/**
 * Negotiates TLS on a socket connected to a PostgreSQL server. Who that server is has not been looked at:
 * only `pgtls inspect` may stop here.
 *
 * @throws {StageError} `backend_tls_refused`, `backend_error`, `backend_unreachable`, or the signal's reason.
 */
export async function secureBackend(socket: Socket, options: SecureOptions): Promise<TLSSocket> {
  if (options.negotiation === "postgres") await requestTls(socket, options.signal);
  const secured = await connectTls(socket, options);
  if (options.negotiation === "direct" && secured.alpnProtocol !== ALPN_POSTGRESQL) {
    secured.destroy();
    throw new StageError("backend_tls_refused", 'Backend did not select ALPN protocol "postgresql"');
  }
  return secured;
}

/** Asks for TLS the way PostgreSQL does; afterwards the socket stands before the handshake. */
async function requestTls(socket: Socket, signal: AbortSignal): Promise<void> {
  const machine = new BackendNegotiation();
  socket.write(machine.start());
  while (true) {
    const event = nextEvent(machine);
    switch (event?.kind) {
      case "tls":
        return;
      case "refused":
        throw new StageError(
          "backend_tls_refused",
          "Backend does not offer TLS (it answered N to SSLRequest)",
        );
      case "error_response": {
        const { sqlstate, message } = event.fields;
        throw new StageError("backend_error", `Backend answered SSLRequest with an error: ${message}`, {
          answer: quoteUnverified(sqlstate, message),
        });
      }
    }
    const chunk = await readBackend(socket, MAX_STARTUP_PACKET_BYTES - machine.buffered, signal);
    if (chunk === null) {
      throw new StageError("backend_tls_refused", "Backend closed the connection on SSLRequest");
    }
    machine.receive(chunk);
  }
}

/**
 * What came before TLS came from whoever is on the network (CVE-2024-10977): it is cut, and says so of itself.
 * A code that is no error would make a client take a refusal for success.
 */
function quoteUnverified(sqlstate: string, message: string): ErrorAnswer {
  const text = message.slice(0, MAX_UNVERIFIED_LENGTH);
  return {
    sqlstate: /^0[012]/.test(sqlstate) ? "08001" : sqlstate,
    message: `backend refused the connection before TLS (unverified): ${text}`,
  };
}

/** What breaks the grammar here is the backend's doing, and not what a client should be told it did. */
function nextEvent(machine: BackendNegotiation): ReturnType<BackendNegotiation["next"]> {
  try {
    return machine.next();
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new StageError("backend_tls_refused", `Backend broke the protocol: ${error.message}`, {
      cause: error,
    });
  }
}

async function readBackend(socket: Socket, limit: number, signal: AbortSignal): Promise<Uint8Array | null> {
  try {
    return await readSome(socket, limit, signal);
  } catch (error) {
    if (error instanceof StageError) throw error;
    throw new StageError(
      "backend_unreachable",
      `Backend dropped the connection: ${(error as Error).message}`,
    );
  }
}

function verify(secured: TLSSocket, material: BackendMaterial): Pick<Backend, "peer" | "tls"> {
  const presented = presentedChain(secured);
  try {
    const peer = verifyBackend(presented, material.policy);
    const tls = tlsFacts(secured, {
      serverCert: presented[0] ?? null,
      clientChain: material.chainDer,
      clientCertError: null,
    });
    return { peer, tls: { ...tls, serverName: material.policy.serverName } };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new StageError("backend_untrusted", `Backend is not trusted: ${message}`, { cause: error });
  }
}

// PostgreSQL's own, such as "sorry, too many clients already", have less than half of it.
const MAX_UNVERIFIED_LENGTH = 120;
