/** One half-duplex copy, with back-pressure: by streams until both ends are quiet, by handles from then on. */

import type { Socket } from "node:net";
import { contentless, releaseContent } from "../tls/handshake_bound.ts";
import { DirectSink, type SinkOwner } from "./direct_sink.ts";
import { DirectSource, type SourceOwner } from "./direct_source.ts";
import { isTls, nativeHandle } from "./native_handle.ts";
import type { Quiet } from "./quiet.ts";

/** Options of {@linkcode Direction}. */
export interface DirectionOptions {
  /** Shown every chunk before it is written; the bytes are on loan until it returns. */
  readonly onChunk: (chunk: Uint8Array) => void;
  /** Told whenever something moves. */
  readonly quiet: Quiet;
}

/** Copies what `source` brings to `sink`. Its end is not passed on by itself: see {@linkcode finish}. */
export class Direction implements SourceOwner, SinkOwner {
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #options: DirectionOptions;
  #directSource: DirectSource | null = null;
  #directSink: DirectSink | null = null;
  /** Stops copying with streams, while that is how it is done. */
  #stopStreaming: (() => void) | null = null;
  #isPaused = false;
  #onDrained: (() => void) | null = null;

  constructor(source: Socket, sink: Socket, options: DirectionOptions) {
    this.#source = source;
    this.#sink = sink;
    this.#options = options;
  }

  /** Begins with what the source has buffered. */
  start(): void {
    if (this.#goDirect()) {
      // An end that the stream has seen and not told yet.
      this.#source.read(0);
      return this.#read();
    }
    this.#stream();
  }

  /** Stops reading. What has been read still goes to the sink; what comes from here on is dropped. */
  stop(): void {
    this.#stopStreaming?.();
    this.#isPaused = false;
    if (this.#source.destroyed) return;
    this.#source.pause();
    this.#directSource?.discard();
  }

  /** Ends the sink's stream behind the last byte. */
  finish(): void {
    this.whenDrained(() => this.#sink.end());
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
    this.#options.quiet.touch();
    this.#options.onChunk(bytes);
    const sink = this.#directSink!;
    const isKept = sink.write(bytes);
    if (sink.pending >= HIGH_WATER_BYTES) {
      this.#isPaused = true;
      this.#directSource!.pause();
    }
    return isKept;
  }

  /** The direct source's. */
  flooded(): void {
    this.#source.destroy(contentless());
  }

  /** The direct sink's. */
  progressed(): void {
    this.#options.quiet.touch();
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

  #stream(): void {
    const onDrain = () => {
      this.#options.quiet.touch();
      if (this.#directSource === null) this.#source.resume();
    };
    const onData = (chunk: Uint8Array) => {
      if (this.#goDirect()) {
        this.take(chunk);
        return this.#read();
      }
      this.#options.quiet.touch();
      this.#options.onChunk(chunk);
      if (this.#sink.write(chunk)) return;
      this.#source.pause();
      this.#sink.once("drain", onDrain);
    };
    this.#stopStreaming = () => {
      this.#source.removeListener("data", onData);
      this.#stopStreaming = null;
    };
    this.#source.on("data", onData);
    this.#source.resume();
  }

  /** Takes the streams out of the way, if nothing waits in them. */
  #goDirect(): boolean {
    if (this.#source.readableLength > 0 || this.#sink.writableLength > 0) return false;
    if (!this.#source.readable || !this.#sink.writable) return false;
    const [from, to] = [nativeHandle(this.#source), nativeHandle(this.#sink)];
    if (from === null || to === null) return false;
    this.#stopStreaming?.();
    releaseContent(this.#source);
    this.#source.pause();
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
