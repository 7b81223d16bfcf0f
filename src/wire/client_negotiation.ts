/**
 * What a client says before TLS, and what it is answered: SSLRequest, GSSENCRequest, direct TLS, CancelRequest,
 * or a StartupMessage in clear.
 *
 * Everything here arrives unauthenticated and unencrypted. Bytes that stand behind a request before it was answered
 * are refused: a client that keeps to the protocol waits for the answer, so they may be an attacker's, put there to be
 * taken for the client's own once TLS is up (CVE-2021-23214).
 */
import { ProtocolError } from "../errors.ts";
import type { ByteBuffer } from "./byte_buffer.ts";
import { NegotiationMachine } from "./negotiation_machine.ts";
import { type CancelRequest, decodeStartupPacket, type StartupMessage } from "./startup_packet.ts";

/** What the driver has to do next. */
export type ClientNegotiationEvent =
  /** Write `bytes` to the client, unencrypted. */
  | { readonly kind: "send"; readonly bytes: Uint8Array }
  /** Start TLS; the socket's next bytes are the ClientHello. The machine must get no more bytes. */
  | { readonly kind: "tls"; readonly how: "requested" }
  /** Start TLS; `prefix` is what was read of the ClientHello. The machine must get no more bytes. */
  | { readonly kind: "tls"; readonly how: "direct"; readonly prefix: Uint8Array }
  /** Go on in clear. What stands behind the packet is in `takeRest()`. */
  | { readonly kind: "startup_message"; readonly packet: StartupMessage }
  /** Answer ErrorResponse 28000 and close: TLS is required here, and this StartupMessage came in clear. */
  | { readonly kind: "refuse_plaintext"; readonly packet: StartupMessage }
  /** Forward the packet if plaintext cancels are allowed, and close. What stands behind it is dropped. */
  | { readonly kind: "cancel_request"; readonly packet: CancelRequest };

/** What a listener offers. */
export interface ClientNegotiationOptions {
  /** `required`: no StartupMessage in clear; `optional`: TLS for those who ask; `off`: SSLRequest is answered `N`. */
  readonly tls: "required" | "optional" | "off";
}

/**
 * The client's side of the negotiation, without I/O: `receive` bytes, then call `next` until it gives `null`.
 *
 * The driver must not read the raw socket again once it has written the `S` of a `send` event: what follows is TLS. It
 * should read no more than fits beside `buffered`; more is a protocol violation.
 *
 * @see {@link https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL | PostgreSQL, SSL Session Encryption}
 */
export class ClientNegotiation extends NegotiationMachine<ClientNegotiationEvent> {
  readonly #tls: "required" | "optional" | "off";
  #state: State = "start";

  constructor(options: ClientNegotiationOptions) {
    super();
    this.#tls = options.tls;
  }

  protected override advance(buffer: ByteBuffer): ClientNegotiationEvent | null {
    switch (this.#state) {
      case "tls_granted":
        refuseStuffedBytes(buffer, "SSLRequest");
        this.#move("answer_sent");
        return { kind: "tls", how: "requested" };
      case "tls":
        refuseStuffedBytes(buffer, "TLS was negotiated");
        return null;
      case "cancel":
        buffer.takeAll();
        return null;
      case "plaintext":
        return null;
      case "start":
        return this.#isDirectTls(buffer.peek(1)) ? this.#startDirectTls(buffer) : this.#readPacket(buffer);
      default:
        return this.#readPacket(buffer);
    }
  }

  #isDirectTls(bytes: Uint8Array): boolean {
    return this.#tls !== "off" && bytes[0] === TLS_HANDSHAKE_RECORD;
  }

  #startDirectTls(buffer: ByteBuffer): ClientNegotiationEvent {
    this.#move("direct_tls");
    return { kind: "tls", how: "direct", prefix: buffer.takeAll() };
  }

  #readPacket(buffer: ByteBuffer): ClientNegotiationEvent | null {
    const packet = decodeStartupPacket(buffer);
    switch (packet?.kind) {
      case undefined:
        return null;
      case "ssl_request":
        this.#move(this.#tls === "off" ? "ssl_request_refused" : "ssl_request_granted");
        refuseStuffedBytes(buffer, "SSLRequest");
        return { kind: "send", bytes: encodeAnswer(this.#tls === "off" ? "N" : "S") };
      case "gssenc_request":
        this.#move("gssenc_request_refused");
        refuseStuffedBytes(buffer, "GSSENCRequest");
        return { kind: "send", bytes: encodeAnswer("N") };
      case "cancel_request":
        this.#move("cancel_request");
        buffer.takeAll();
        return { kind: "cancel_request", packet };
      case "startup_message":
        this.#move("startup_message");
        return { kind: this.#tls === "required" ? "refuse_plaintext" : "startup_message", packet };
    }
  }

  #move(input: Input): void {
    const next: State | undefined = TRANSITIONS[this.#state][input];
    if (next === undefined) {
      const request = input.startsWith("ssl") ? "SSLRequest" : "GSSENCRequest";
      throw new ProtocolError(`unexpected ${request}: it was answered before`, FEATURE_NOT_SUPPORTED);
    }
    this.#state = next;
  }
}

function refuseStuffedBytes(buffer: ByteBuffer, request: string): void {
  if (buffer.length === 0) return;
  throw new ProtocolError(`received unencrypted data after ${request}`);
}

function encodeAnswer(answer: "S" | "N"): Uint8Array {
  return Uint8Array.of(answer.charCodeAt(0));
}

type State =
  | "start"
  | "no_gssenc"
  | "no_tls"
  | "no_encryption"
  | "tls_granted"
  | "tls"
  | "plaintext"
  | "cancel";

type Input =
  | "ssl_request_granted"
  | "ssl_request_refused"
  | "gssenc_request_refused"
  | "answer_sent"
  | "direct_tls"
  | "startup_message"
  | "cancel_request";

/**
 * Everything that may follow what; an absent key is a protocol violation. The two encryptions may be asked for in either
 * order, each once, as PostgreSQL's ProcessStartupPacket allows. Direct TLS is the first thing said, or is not said:
 * libpq opens a new connection for it when GSSENCRequest was refused.
 */
const TRANSITIONS: Readonly<Record<State, Readonly<Partial<Record<Input, State>>>>> = {
  start: {
    ssl_request_granted: "tls_granted",
    ssl_request_refused: "no_tls",
    gssenc_request_refused: "no_gssenc",
    direct_tls: "tls",
    startup_message: "plaintext",
    cancel_request: "cancel",
  },
  no_gssenc: {
    ssl_request_granted: "tls_granted",
    ssl_request_refused: "no_encryption",
    startup_message: "plaintext",
    cancel_request: "cancel",
  },
  no_tls: { gssenc_request_refused: "no_encryption", startup_message: "plaintext", cancel_request: "cancel" },
  no_encryption: { startup_message: "plaintext", cancel_request: "cancel" },
  tls_granted: { answer_sent: "tls" },
  tls: {},
  plaintext: {},
  cancel: {},
};

/** ContentType handshake (RFC 8446, section 5.1). As a startup packet's first byte it would mean 369 MB. */
const TLS_HANDSHAKE_RECORD = 0x16;

/** What PostgreSQL answers to a second request: it reads the request code as a protocol version, 1234.5679. */
const FEATURE_NOT_SUPPORTED = "0A000";
