/**
 * What the negotiation machines have in common: a bounded buffer in front of a parser, and the end of the stream.
 *
 * There is no I/O here: `receive` only stores, `next` only parses, and the end of the stream is input like any other.
 */
import { ProtocolError } from "../errors.ts";
import { ByteBuffer } from "./byte_buffer.ts";
import { MAX_STARTUP_PACKET_BYTES } from "./startup_packet.ts";

/** The peer has ended its stream, and every event before that has been given. */
export interface EofEvent {
  readonly kind: "eof";
  /** True if no byte is left over, neither of half a message nor behind the last one. */
  readonly clean: boolean;
}

/**
 * A parser fed by `receive` and read by `next` until that gives `null`.
 *
 * The first {@linkcode ProtocolError} is final: every later `next` throws it again.
 */
export abstract class NegotiationMachine<Event> {
  readonly #buffer = new ByteBuffer(MAX_STARTUP_PACKET_BYTES);
  #failure: ProtocolError | null = null;
  #end: "open" | "ended" | "reported" = "open";

  /** The number of bytes stored and not yet parsed: never more than {@linkcode MAX_STARTUP_PACKET_BYTES}. */
  get buffered(): number {
    return this.#buffer.length;
  }

  /** Stores a copy of `bytes`. More than fit is an error that `next` throws. */
  receive(bytes: Uint8Array): void {
    if (this.#failure !== null) return;
    try {
      this.#buffer.append(bytes);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The peer will send nothing more. */
  eof(): void {
    if (this.#end === "open") this.#end = "ended";
  }

  /**
   * Gives the next event, or `null` while bytes are missing and after everything has been said.
   *
   * @throws {ProtocolError} If the peer broke the grammar.
   */
  next(): Event | EofEvent | null {
    if (this.#failure !== null) throw this.#failure;
    const event = this.#advance();
    if (event !== null || this.#end !== "ended") return event;
    this.#end = "reported";
    return { kind: "eof", clean: this.buffered === 0 };
  }

  /** Removes and returns the bytes behind the last event. */
  takeRest(): Uint8Array {
    return this.#buffer.takeAll();
  }

  /** Parses one event off the front of `buffer`; `null` = not yet, or nothing more to say. */
  protected abstract advance(buffer: ByteBuffer): Event | null;

  #advance(): Event | null {
    try {
      return this.advance(this.#buffer);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  #fail(error: unknown): void {
    if (error instanceof ProtocolError) this.#failure = error;
  }
}
