/** One end of a connection, held by a test: what it sends and reads, byte for byte, and how it ends. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { connect, createServer, type TLSSocket } from "node:tls";
import { keepBackPressure } from "../../src/tls/back_pressure.ts";
import type { Leaf } from "./pki.ts";

/** How a test takes part in TLS as the client. */
export interface PeerTlsOptions {
  /** The client certificate; none unless given. */
  readonly certificate?: Leaf;
  /** ALPN protocols to offer; none unless given. */
  readonly alpn?: readonly string[];
  /** The server name to ask for; an empty one is not sent. @default "localhost" */
  readonly serverName?: string;
}

/** A socket that is read when the test asks for bytes, and otherwise not. */
export class PeerStream implements AsyncDisposable {
  readonly socket: Socket;
  #unread: Uint8Array = new Uint8Array(0);
  #received = 0;

  /** @param socket Made with `allowHalfOpen`. */
  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {});
  }

  /** How many bytes have been handed to the test. */
  get received(): number {
    return this.#received;
  }

  /** Whether the connection is gone, both ways. */
  get isClosed(): boolean {
    return this.socket.destroyed;
  }

  /** Sends; resolves when the system has taken the bytes. A peer that is gone is not an error here. */
  send(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => this.socket.write(bytes, () => resolve()));
  }

  /**
   * Reads exactly `count` bytes.
   *
   * @throws {Error} If the stream ends before; says what came.
   */
  async read(count: number): Promise<Uint8Array> {
    while (this.#unread.length < count) {
      if (await this.#more()) continue;
      throw new Error(`Stream ended: expected ${count} bytes, got ${JSON.stringify(textOf(this.#unread))}`);
    }
    return this.#take(count);
  }

  /** Reads what there is, at least one byte; `null` at the end of the stream. */
  async readSome(): Promise<Uint8Array | null> {
    if (this.#unread.length === 0 && !await this.#more()) return null;
    return this.#take(this.#unread.length);
  }

  /** Reads to the end of the stream; a connection that breaks off ends it, too. */
  async readAll(): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    for (let chunk = await this.readSome(); chunk !== null; chunk = await this.readSome()) chunks.push(chunk);
    return Uint8Array.from(Buffer.concat(chunks));
  }

  /** Reads and counts to the end of the stream without keeping anything. */
  async countAll(): Promise<number> {
    while (await this.#more()) this.#take(this.#unread.length);
    return this.#received;
  }

  /** Ends this direction only. */
  end(): void {
    this.socket.end();
  }

  /** Drops the connection with a TCP RST (of a TLS connection: the socket below it). */
  reset(): void {
    rawSocket(this.socket).resetAndDestroy();
  }

  /** Waits until the connection is gone, dropping whatever still comes. */
  async closed(): Promise<void> {
    await this.countAll();
    this.socket.end();
    if (!this.socket.destroyed) await this.#event(["close"]);
  }

  /** Starts TLS as the client, as it stands now: anything already received is an error. */
  async startTls(options: PeerTlsOptions = {}): Promise<PeerStream> {
    assert.equal(this.#unread.length, 0, "bytes received before TLS");
    const { certificate, alpn, serverName = "localhost" } = options;
    const secured = connect({
      socket: this.socket,
      servername: serverName,
      rejectUnauthorized: false,
      ...(alpn && { ALPNProtocols: [...alpn] }),
      ...(certificate && { cert: certificate.chainPem, key: certificate.keyPem }),
    });
    return await handshaken(secured, "secureConnect");
  }

  /** Starts TLS as the server; it selects ALPN `postgresql` unless given others. */
  async acceptTls(certificate: Leaf, options: Pick<PeerTlsOptions, "alpn"> = {}): Promise<PeerStream> {
    assert.equal(this.#unread.length, 0, "bytes received before TLS");
    const { alpn = ["postgresql"] } = options;
    const server = createServer({
      cert: certificate.chainPem,
      key: certificate.keyPem,
      ...(alpn.length > 0 && { ALPNProtocols: [...alpn] }),
    });
    const secured = new Promise<TLSSocket>((resolve, reject) => {
      server.once("secureConnection", resolve);
      server.once("tlsClientError", reject);
    });
    server.emit("connection", this.socket);
    return peerOver(await secured);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    rawSocket(this.socket).destroy();
    if (!this.socket.closed) await this.#event(["close"]);
  }

  #take(count: number): Uint8Array {
    // A plain Uint8Array, which deepEqual does not tell apart by its prototype.
    const taken = Uint8Array.from(this.#unread.subarray(0, count));
    this.#unread = this.#unread.subarray(count);
    this.#received += taken.length;
    return taken;
  }

  /** Adds what the socket has to `#unread`; false at the end of the stream. */
  async #more(): Promise<boolean> {
    while (true) {
      const chunk: Buffer | null = this.socket.read();
      if (chunk !== null) {
        this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk]);
        return true;
      }
      if (this.socket.destroyed || this.socket.readableEnded) return false;
      await this.#event(["readable", "end", "close"]);
    }
  }

  #event(names: readonly string[]): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        for (const name of names) this.socket.removeListener(name, onEvent);
        finish();
      };
      const onEvent = () => settle(resolve);
      const onLate = () => settle(() => reject(new Error(`Waited ${GUARD_MS} ms for ${names.join(" or ")}`)));
      const timer = setTimeout(onLate, GUARD_MS);
      for (const name of names) this.socket.on(name, onEvent);
    });
  }
}

function handshaken(socket: TLSSocket, event: string): Promise<PeerStream> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve(peerOver(socket)));
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("Connection closed during the TLS handshake")));
  });
}

function peerOver(socket: TLSSocket): PeerStream {
  // The test's own end must hold its sender back, too, and see the end of the stream.
  keepBackPressure(socket);
  return new PeerStream(socket);
}

/** The TCP socket below a TLS one. */
function rawSocket(socket: Socket): Socket {
  return (socket as Socket & { _parent?: Socket })._parent ?? socket;
}

/** Bytes as text, one character a byte. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

/** Only a guard against a test that hangs. */
const GUARD_MS = 60_000;
