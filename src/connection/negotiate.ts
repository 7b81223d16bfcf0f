/** Stage 2: what the first bytes ask for. Takes `Accepted`, gives `Negotiated`. */

import { StageError } from "../errors.ts";
import { ClientNegotiation } from "../wire/client_negotiation.ts";
import { type CancelRequest, MAX_STARTUP_PACKET_BYTES, type StartupMessage } from "../wire/startup_packet.ts";
import type { Accepted } from "./listen.ts";
import { readClient } from "./socket.ts";

/** How the client wants to speak. */
export interface Negotiated extends Accepted {
  readonly transport:
    | { readonly kind: "requested_tls" | "direct_tls" }
    | {
      readonly kind: "plaintext";
      readonly packet: StartupMessage | CancelRequest;
      readonly rest: Uint8Array;
    };
}

/**
 * Reads until the client has asked for TLS or spoken in clear, answering SSLRequest and GSSENCRequest on the way.
 * After this stage the socket stands before the TLS handshake, or behind the first packet in clear.
 *
 * @throws {ProtocolError} If it is not PostgreSQL, or bytes are stuffed behind a request (CVE-2021-23214).
 * @throws {StageError} `tls_required`, `client_closed`, `client_lost`, or the signal's reason.
 */
export async function negotiate(accepted: Accepted, signal: AbortSignal): Promise<Negotiated> {
  const { socket, endpoint } = accepted;
  // A StartupMessage in clear names no server: the default route decides about it.
  const allowsPlaintext = endpoint.defaultRoute?.config.listener.unsafeAllowPlaintext ?? false;
  const machine = new ClientNegotiation({
    tls: !endpoint.common.tlsEnabled ? "off" : allowsPlaintext ? "optional" : "required",
  });
  while (true) {
    const event = machine.next();
    if (event === null) {
      const chunk = await readClient(socket, MAX_STARTUP_PACKET_BYTES - machine.buffered, signal);
      if (chunk === null) machine.eof();
      else machine.receive(chunk);
      continue;
    }
    switch (event.kind) {
      case "send":
        socket.write(event.bytes);
        break;
      case "tls":
        if (event.how === "direct") socket.unshift(event.prefix);
        return { ...accepted, transport: { kind: event.how === "direct" ? "direct_tls" : "requested_tls" } };
      case "refuse_plaintext":
        throw new StageError("tls_required", "Cannot serve a client that does not ask for TLS");
      case "startup_message":
      case "cancel_request":
        return {
          ...accepted,
          transport: { kind: "plaintext", packet: event.packet, rest: machine.takeRest() },
        };
      case "eof":
        throw new StageError("client_closed", "Client closed the connection before its first packet");
    }
  }
}
