/**
 * As much of TLS 1.2 (RFC 5246) as it takes to cheat in a handshake: messages in, messages out, one cipher suite
 * (ECDHE_ECDSA, AES-128-GCM, SHA-256; RFC 5289), one group (P-256). No implementation of TLS lets one present a
 * certificate without its key, so tests of that proof need one that does.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto";
import { concat } from "./der_tree.ts";
import type { PeerStream } from "./peer_stream.ts";

/** One handshake message. */
export interface HandshakeMessage {
  readonly type: number;
  readonly body: Uint8Array;
}

/** The other side sent an alert; `description` is RFC 5246 section 7.2. */
export class TlsAlert extends Error {
  readonly description: number;

  constructor(description: number) {
    super(`The peer ended the handshake with alert ${description}`);
    this.name = "TlsAlert";
    this.description = description;
  }
}

/** The record layer, the transcript and the key schedule; who says what is up to the two sides that use it. */
export class Tls12 {
  readonly random = Uint8Array.from(randomBytes(32));
  readonly #stream: PeerStream;
  readonly #side: "client" | "server";
  readonly #transcript: Uint8Array[] = [];
  #unread: Uint8Array = new Uint8Array(0);
  #master: Uint8Array = new Uint8Array(0);
  #keys: Keys | null = null;
  #isSending = false;
  #isReceiving = false;

  constructor(stream: PeerStream, side: "client" | "server") {
    this.#stream = stream;
    this.#side = side;
  }

  /** All handshake messages so far, as signed by CertificateVerify and hashed by Finished. */
  get transcript(): Uint8Array {
    return concat(...this.#transcript);
  }

  /** Sends a handshake message. */
  async send(type: number, ...body: (Uint8Array | readonly number[])[]): Promise<void> {
    const message = concat([type], vector(3, ...body));
    this.#transcript.push(message);
    await this.#write(RECORD.handshake, message);
  }

  /** Reads the next handshake message. @throws {TlsAlert} */
  async receive(): Promise<HandshakeMessage> {
    while (this.#unread.length < 4 || this.#unread.length < 4 + uint24(this.#unread.subarray(1))) {
      this.#unread = concat(this.#unread, await this.#read(RECORD.handshake));
    }
    const end = 4 + uint24(this.#unread.subarray(1));
    const message = this.#unread.subarray(0, end);
    this.#unread = this.#unread.subarray(end);
    this.#transcript.push(message);
    return { type: message[0]!, body: message.subarray(4) };
  }

  /** Derives the keys (RFC 5246 sections 6.3 and 8.1), without extended master secret. */
  agree(premaster: Uint8Array, randoms: { readonly client: Uint8Array; readonly server: Uint8Array }): void {
    const { client, server } = randoms;
    this.#master = prf(premaster, "master secret", concat(client, server), 48);
    const block = prf(this.#master, "key expansion", concat(server, client), 40);
    const ours = { key: block.subarray(0, 16), salt: block.subarray(32, 36), sequence: 0n };
    const theirs = { key: block.subarray(16, 32), salt: block.subarray(36, 40), sequence: 0n };
    this.#keys = this.#side === "client" ? { send: ours, receive: theirs } : { send: theirs, receive: ours };
  }

  /** Sends ChangeCipherSpec and Finished. */
  async finish(): Promise<void> {
    await this.#write(RECORD.changeCipherSpec, Uint8Array.of(1));
    this.#isSending = true;
    await this.send(20, this.#verifyData(`${this.#side} finished`));
  }

  /** Reads the peer's ChangeCipherSpec and Finished. @throws {TlsAlert} */
  async awaitFinish(): Promise<void> {
    // Whatever else comes first (a session ticket) is part of the transcript, and of no interest.
    while (!this.#isReceiving) {
      const { type, content } = await this.#record();
      if (type === RECORD.changeCipherSpec) this.#isReceiving = true;
      else if (type === RECORD.handshake) this.#transcript.push(content);
    }
    await this.receive();
  }

  /** Sends a piece of a handshake message, which may never become whole. */
  async sendPiece(piece: Uint8Array): Promise<void> {
    await this.#write(RECORD.handshake, piece);
  }

  /** Sends application data. */
  async sendData(bytes: Uint8Array): Promise<void> {
    await this.#write(RECORD.applicationData, bytes);
  }

  /** Reads one record of application data; empty when the peer closed. @throws {TlsAlert} */
  async receiveData(): Promise<Uint8Array> {
    try {
      return await this.#read(RECORD.applicationData);
    } catch (error) {
      if (error instanceof TlsAlert && error.description === CLOSE_NOTIFY) return new Uint8Array(0);
      throw error;
    }
  }

  #verifyData(label: string): Uint8Array {
    return prf(this.#master, label, createHash("sha256").update(this.transcript).digest(), 12);
  }

  async #read(wanted: number): Promise<Uint8Array> {
    const { type, content } = await this.#record();
    if (type !== wanted) throw new Error(`Record of type ${type}, expected ${wanted}`);
    return content;
  }

  async #record(): Promise<{ type: number; content: Uint8Array }> {
    const header = await this.#stream.read(5);
    const type = header[0]!;
    const bytes = await this.#stream.read(header[3]! * 256 + header[4]!);
    const content = this.#isReceiving ? open(this.#keys!.receive, type, bytes) : bytes;
    if (type === RECORD.alert) throw new TlsAlert(content[1]!);
    return { type, content };
  }

  async #write(type: number, content: Uint8Array): Promise<void> {
    const body = this.#isSending ? seal(this.#keys!.send, type, content) : content;
    await this.#stream.send(concat([type, 3, 3], vector(2, body)));
  }
}

/** Bytes with their length in front, in `width` bytes. */
export function vector(
  width: 1 | 2 | 3,
  ...parts: (Uint8Array | readonly number[])[]
): Uint8Array<ArrayBuffer> {
  const content = concat(...parts);
  const length = [content.length >> 16, (content.length >> 8) & 0xff, content.length & 0xff];
  return concat(length.slice(3 - width), content);
}

/** The Certificate message's body: DER certificates, leaf first. */
export function certificateList(chain: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return vector(3, ...chain.map((der) => vector(3, der)));
}

interface Direction {
  readonly key: Uint8Array;
  readonly salt: Uint8Array;
  sequence: bigint;
}

interface Keys {
  readonly send: Direction;
  readonly receive: Direction;
}

/** AES-GCM of RFC 5288: the sequence number serves as explicit nonce. */
function seal(direction: Direction, type: number, content: Uint8Array): Uint8Array {
  const sequence = uint64(direction.sequence++);
  const cipher = createCipheriv("aes-128-gcm", direction.key, concat(direction.salt, sequence));
  cipher.setAAD(concat(sequence, [type, 3, 3, content.length >> 8, content.length & 0xff]));
  return concat(sequence, cipher.update(content), cipher.final(), cipher.getAuthTag());
}

function open(direction: Direction, type: number, bytes: Uint8Array): Uint8Array {
  const content = bytes.subarray(8, -16);
  const decipher = createDecipheriv(
    "aes-128-gcm",
    direction.key,
    concat(direction.salt, bytes.subarray(0, 8)),
  );
  const length = [content.length >> 8, content.length & 0xff];
  decipher.setAAD(concat(uint64(direction.sequence++), [type, 3, 3], length));
  decipher.setAuthTag(bytes.subarray(-16));
  return concat(decipher.update(content), decipher.final());
}

/** P_SHA256 of RFC 5246 section 5. */
function prf(secret: Uint8Array, label: string, seed: Uint8Array, length: number): Uint8Array {
  const start = concat(new TextEncoder().encode(label), seed);
  let output = new Uint8Array(0);
  for (let a = hmac(secret, start); output.length < length; a = hmac(secret, a)) {
    output = concat(output, hmac(secret, concat(a, start)));
  }
  return output.subarray(0, length);
}

function hmac(secret: Uint8Array, message: Uint8Array): Uint8Array {
  return createHmac("sha256", secret).update(message).digest();
}

function uint24(bytes: Uint8Array): number {
  return bytes[0]! * 65536 + bytes[1]! * 256 + bytes[2]!;
}

function uint64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

/** ContentType of RFC 5246 section 6.2.1. */
const RECORD = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 } as const;

const CLOSE_NOTIFY = 0;
