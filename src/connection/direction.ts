/** One half-duplex copy, with back-pressure: by streams until both ends are quiet, by handles from then on. */

import { contentless, releaseContent } from "../tls/handshake_bound.ts";
import type { DirectEnds } from "./direct_ends.ts";
import { DirectSink, type SinkOwner } from "./direct_sink.ts";
import { DirectSource, type SourceOwner } from "./direct_source.ts";
import type { Leg } from "./leg.ts";
import { isTls, nativeHandle } from "./native_handle.ts";

/** Who has directions; one for both, as every idle session keeps them. */
export interface DirectionOwner {
  /** Shown every chunk before it is written; the bytes are on loan until it returns. */
  passes(chunk: Uint8Array, direction: Direction): void;
  /** Told whenever something else moves. */
  moved(): void;
}

/** Copies what `source` brings to `sink`. Its end is not passed on by itself: see {@linkcode finish}. */
export class Direction implements SourceOwner, SinkOwner {
  readonly #source: Leg;
  readonly #sink: Leg;
  readonly #owner: DirectionOwner;
  #directSource: DirectSource | null = null;
  #directSink: DirectSink | null = null;
  /** Stops copying with streams, while that is how it is done. */
  #stopStreaming: (() => void) | null = null;
  #isPaused = false;
  #onDrained: (() => void) | null = null;

  constructor(source: Leg, sink: Leg, owner: DirectionOwner) {
    this.#source = source;
    this.#sink = sink;
    this.#owner = owner;
  }

  /** Copies with what reads the source and writes the sink already. Call it before {@linkcode start}. */
  takeOver({ source, sink }: DirectEnds): void {
    this.#directSource = source;
    this.#directSink = sink;
    source.handOver(this);
    sink.handOver(this.#sink, this);
  }

  /** Begins with what was read from the source before, and then with what it has buffered. */
  start(before: Uint8Array = EMPTY): void {
    if (this.#directSource !== null) {
      if (before.length > 0) this.take(before);
      if (!this.#isPaused && !this.#source.destroyed) this.#directSource.resume();
      return;
    }
    if (this.#goDirect()) {
      if (before.length > 0) this.take(before);
      // An end that the stream has seen and not told yet.
      this.#source.socket.read(0);
      return this.#read();
    }
    this.#stream(before);
  }

  /**
   * Goes past the streams now, if it has not yet and nothing waits in them.
   *
   * @returns Whether its legs may do without sockets: it copies from handle to handle, and nothing is under way.
   */
  settle(): boolean {
    if (this.#directSource === null && this.#goDirect()) this.#read();
    const isQuiet = !this.#isPaused && this.#onDrained === null;
    return isQuiet && this.#directSource !== null && this.#directSink!.pending === 0;
  }

  /** Stops reading. What has been read still goes to the sink; what comes from here on is dropped. */
  stop(): void {
    this.#stopStreaming?.();
    this.#isPaused = false;
    if (this.#source.destroyed) return;
    this.#source.socket.pause();
    this.#directSource?.discard();
  }

  /** Ends the sink's stream behind the last byte. */
  finish(): void {
    this.whenDrained(() => this.#sink.socket.end());
  }

  /** Calls back, at once or later, when everything read has been taken by the sink's stream or by the system. */
  whenDrained(callback: () => void): void {
    if (this.#directSink === null || this.#directSink.pending === 0) return callback();
    const before = this.#onDrained;
    this.#onDrained = () => {
      before?.();
      callback();
    };
  }

  /** The direct source's. */
  take(bytes: Uint8Array): boolean {
    this.#owner.passes(bytes, this);
    const sink = this.#directSink!;
    const isKept = sink.write(bytes);
    if (sink.pending >= HIGH_WATER_BYTES) {
      this.#isPaused = true;
      this.#directSource!.pause();
    }
    return isKept;
  }

  /** The direct source's. */
  ending(): void {
    this.#source.wake();
  }

  /** The direct source's. */
  flooded(): void {
    this.#source.socket.destroy(contentless());
  }

  /** The direct sink's. */
  progressed(): void {
    this.#owner.moved();
    const { pending } = this.#directSink!;
    if (!this.#source.destroyed) this.#directSource!.letGo();
    if (this.#isPaused && pending < HIGH_WATER_BYTES) {
      this.#isPaused = false;
      if (!this.#source.destroyed) this.#directSource!.resume();
    }
    if (pending > 0) return;
    const callback = this.#onDrained;
    this.#onDrained = null;
    callback?.();
  }

  #stream(before: Uint8Array): void {
    const [source, sink] = [this.#source.socket, this.#sink.socket];
    const onDrain = () => {
      this.#owner.moved();
      if (this.#directSource === null) source.resume();
    };
    const onData = (chunk: Uint8Array) => {
      if (this.#goDirect()) {
        this.take(chunk);
        return this.#read();
      }
      this.#owner.passes(chunk, this);
      if (sink.write(chunk)) return;
      source.pause();
      sink.once("drain", onDrain);
    };
    this.#stopStreaming = () => {
      source.removeListener("data", onData);
      this.#stopStreaming = null;
    };
    source.on("data", onData);
    source.resume();
    if (before.length > 0) onData(before);
  }

  /** Takes the streams out of the way, if nothing waits in them. */
  #goDirect(): boolean {
    const [source, sink] = [this.#source.socket, this.#sink.socket];
    if (source.readableLength > 0 || sink.writableLength > 0) return false;
    if (!source.readable || !sink.writable) return false;
    const [from, to] = [nativeHandle(source), nativeHandle(sink)];
    if (from === null || to === null) return false;
    this.#stopStreaming?.();
    releaseContent(source);
    source.pause();
    this.#directSink = new DirectSink(this.#sink, to, this);
    this.#directSource = new DirectSource(from, { isCopied: isTls(to), owner: this });
    return true;
  }

  #read(): void {
    if (this.#source.destroyed) return;
    this.#directSource!.start();
    if (this.#isPaused) this.#directSource!.pause();
  }
}

// One read of the runtime: the sink is written while the next one is in the kernel's hands.
const HIGH_WATER_BYTES = 64 * 1024;

const EMPTY = new Uint8Array(0);
