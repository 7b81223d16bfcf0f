/**
 * The ClientHello: as much of it as is needed to know which server a client means, before TLS is begun.
 *
 * Pure and total: bytes in, a server name out, or the reason why this hello cannot be read. A hello that cannot be read
 * names nobody and is refused; "no name" is only what a whole and well-formed hello without a name says. (Taking the
 * one for the other was CVE-2026-32305: a hello in two pieces opened the route without client certificates.)
 */

import { isIP } from "node:net";
import { escapeText } from "./path/describe.ts";
import { isHostName, lowerCase } from "./path/dns.ts";

/** What a ClientHello says that is of use before the handshake. */
export interface ClientHello {
  /** The name of the server the client wants, in lower case; `null` if it names none, or an IP address. */
  readonly serverName: string | null;
}

/** It is no ClientHello, or one that nobody should answer. */
export class ClientHelloError extends Error {
  constructor(message: string) {
    super(`Cannot read the ClientHello: ${message}`);
    this.name = "ClientHelloError";
  }
}

/** One spelling for each name: lower case, and without the dot at the end that RFC 6066 forbids and libpq may send. */
export function normalizeServerName(name: string): string {
  return lowerCase(name.endsWith(".") ? name.slice(0, -1) : name);
}

/**
 * Reads one ClientHello, in whatever pieces it comes: TCP segments, TLS records, a handshake message over several of
 * them. `receive` bytes, then ask `next`.
 *
 * Layout: records of type (1), version (2), length (2), fragment; the fragments joined are type (1), length (3), body.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8446#section-5.1 | RFC 8446, section 5.1}
 */
export class ClientHelloReader {
  readonly #raw = new GrowingBytes(MAX_HELLO_BYTES);
  readonly #message = new GrowingBytes(MAX_HELLO_BYTES);
  /** Where in `#raw` the next record begins. */
  #record = 0;

  /** How many more bytes it takes; the driver reads no more than that from its socket. */
  get room(): number {
    return MAX_HELLO_BYTES - this.#raw.length;
  }

  /** Everything received, to be given back to whoever does the handshake. */
  get received(): Uint8Array {
    return this.#raw.bytes;
  }

  /**
   * Stores a copy of `bytes`.
   *
   * @throws {RangeError} If there is no room for them.
   */
  receive(bytes: Uint8Array): void {
    this.#raw.append(bytes);
  }

  /**
   * The hello, or `null` while bytes of it are missing.
   *
   * @throws {ClientHelloError} If it is none, is malformed, or does not fit into 64 KiB.
   */
  next(): ClientHello | null {
    while (true) {
      const size = messageSize(this.#message.bytes);
      if (size !== null && this.#message.length > size) {
        throw new ClientHelloError("bytes stand behind it in its record");
      }
      if (this.#message.length === size) return parseMessage(this.#message.bytes);
      const fragment = this.#nextFragment();
      if (fragment !== null) this.#message.append(fragment);
      else if (this.room === 0) throw new ClientHelloError(`it has more than ${MAX_HELLO_BYTES} bytes`);
      else return null;
    }
  }

  /** The content of the next record once it is there, whole. */
  #nextFragment(): Uint8Array | null {
    const rest = this.#raw.bytes.subarray(this.#record);
    const [type, major] = rest;
    if (type !== undefined && type !== HANDSHAKE_RECORD) {
      throw new ClientHelloError("its record is of another type");
    }
    if (major !== undefined && major !== 3) throw new ClientHelloError("its record is of another protocol");
    if (rest.length < RECORD_HEAD_BYTES) return null;
    const length = new DataView(rest.buffer, rest.byteOffset).getUint16(3);
    if (length === 0 || length > MAX_FRAGMENT_BYTES) {
      throw new ClientHelloError(`its record has ${length} bytes, expected 1 to ${MAX_FRAGMENT_BYTES}`);
    }
    if (rest.length < RECORD_HEAD_BYTES + length) return null;
    this.#record += RECORD_HEAD_BYTES + length;
    return rest.subarray(RECORD_HEAD_BYTES, RECORD_HEAD_BYTES + length);
  }
}

/** Type and length, once they are there. */
function messageSize(message: Uint8Array): number | null {
  if (message.length > 0 && message[0] !== CLIENT_HELLO) throw new ClientHelloError("it is another message");
  if (message.length < MESSAGE_HEAD_BYTES) return null;
  return MESSAGE_HEAD_BYTES + (new DataView(message.buffer, message.byteOffset).getUint32(0) & 0xffffff);
}

/** RFC 8446, section 4.1.2. Extensions may be missing altogether (TLS 1.2). */
function parseMessage(message: Uint8Array): ClientHello {
  const body = new Reader(message.subarray(MESSAGE_HEAD_BYTES));
  body.take(LEGACY_VERSION_BYTES + RANDOM_BYTES);
  body.vector(1);
  body.vector(2);
  body.vector(1);
  if (body.isEmpty) return { serverName: null };
  const extensions = body.vector(2);
  body.expectEnd();
  const seen = new Set<number>();
  let serverName: string | null = null;
  while (!extensions.isEmpty) {
    const type = extensions.number(2);
    const content = extensions.vector(2);
    if (seen.has(type)) throw new ClientHelloError("an extension stands twice");
    seen.add(type);
    if (type === SERVER_NAME_EXTENSION) serverName = parseServerName(content);
  }
  return { serverName };
}

/** RFC 6066, section 3: a list of names, of which only one kind exists, and one of each kind is allowed. */
function parseServerName(extension: Reader): string | null {
  const list = extension.vector(2);
  extension.expectEnd();
  if (list.number(1) !== HOST_NAME) throw new ClientHelloError("its server name is of an unknown kind");
  const name = normalizeServerName(LATIN1.decode(list.vector(2).rest()));
  list.expectEnd();
  // Not allowed, but sent by some, and taken by the runtime as no name.
  if (isIP(name) !== 0) return null;
  if (!isHostName(name)) {
    throw new ClientHelloError(`its server name "${escapeText(name, 64)}" is no host name`);
  }
  return name;
}

/** A place in a message. Reading past its end is an error, never a shorter answer. */
class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isEmpty(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(count: number): Uint8Array {
    if (this.#at + count > this.#bytes.length) throw new ClientHelloError("a length leads past its end");
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }

  /** A big-endian number of `size` bytes. */
  number(size: number): number {
    return this.take(size).reduce((number, byte) => number * 256 + byte, 0);
  }

  /** What follows a length of `size` bytes. */
  vector(size: number): Reader {
    return new Reader(this.take(this.number(size)));
  }

  rest(): Uint8Array {
    return this.take(this.#bytes.length - this.#at);
  }

  expectEnd(): void {
    if (!this.isEmpty) throw new ClientHelloError("bytes are left over");
  }
}

/** Bytes that are appended to, each copied about once more on the way. */
class GrowingBytes {
  readonly #limit: number;
  #storage = new Uint8Array(0);
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get length(): number {
    return this.#length;
  }

  /** A view, valid until the next `append`. */
  get bytes(): Uint8Array {
    return this.#storage.subarray(0, this.#length);
  }

  append(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#limit) throw new RangeError(`Cannot hold more than ${this.#limit} bytes`);
    if (length > this.#storage.length) {
      const larger = new Uint8Array(Math.min(this.#limit, 2 * length));
      larger.set(this.bytes);
      this.#storage = larger;
    }
    this.#storage.set(bytes, this.#length);
    this.#length = length;
  }
}

/**
 * A hello has 250 to 600 bytes, 1,800 with post-quantum keys, and some thousands more when it brings back a session
 * ticket with a client's chain in it. rustls takes up to 64 KB; what a stranger makes us hold must end somewhere.
 */
const MAX_HELLO_BYTES = 65_536;

/** RFC 8446, section 5.1: 2^14; a fragment of a handshake message is never empty. */
const MAX_FRAGMENT_BYTES = 16_384;

const HANDSHAKE_RECORD = 0x16;
const CLIENT_HELLO = 1;
const SERVER_NAME_EXTENSION = 0;
const HOST_NAME = 0;

const RECORD_HEAD_BYTES = 5;
const MESSAGE_HEAD_BYTES = 4;
const LEGACY_VERSION_BYTES = 2;
const RANDOM_BYTES = 32;

const LATIN1 = new TextDecoder("latin1");
