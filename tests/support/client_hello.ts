/** ClientHellos made of bytes, well-formed or not, and cut into TLS records as a test likes. */
import { bytesOf } from "../wire/bytes.ts";

/** What a ClientHello is made of. */
export interface HelloParts {
  /** Extensions in their order: type and content. */
  readonly extensions?: readonly (readonly [type: number, content: Uint8Array])[];
  /** @default TLS_AES_128_GCM_SHA256 and a GREASE value */
  readonly cipherSuites?: Uint8Array;
  /** Bytes behind the last field. */
  readonly rest?: Uint8Array;
}

/** One handshake message of type ClientHello. */
export function helloMessage(parts: HelloParts = {}): Uint8Array {
  const { extensions = [], cipherSuites = Uint8Array.of(0x13, 0x01, 0xda, 0xda), rest = bytesOf() } = parts;
  const body = bytesOf(
    Uint8Array.of(3, 3),
    new Uint8Array(32).fill(7),
    vector(1, new Uint8Array(32)),
    vector(2, cipherSuites),
    vector(1, Uint8Array.of(0)),
    vector(2, bytesOf(...extensions.flatMap(([type, content]) => [number(2, type), vector(2, content)]))),
    rest,
  );
  return bytesOf(Uint8Array.of(1), vector(3, body));
}

/** The server_name extension of each name, as RFC 6066 writes it. */
export function serverNameExtension(...names: readonly string[]): readonly [number, Uint8Array] {
  const list = names.map((name) => bytesOf(Uint8Array.of(0), vector(2, new TextEncoder().encode(name))));
  return [0, vector(2, bytesOf(...list))];
}

/** Extensions that a hello needs so that a real server goes on with it. */
export function usualExtensions(): readonly (readonly [number, Uint8Array])[] {
  return [
    [0x0a0a, bytesOf()],
    // supported_groups: x25519; signature_algorithms; supported_versions: TLS 1.3; key_share: none yet.
    [10, vector(2, Uint8Array.of(0x00, 0x1d))],
    [13, vector(2, Uint8Array.of(0x04, 0x03, 0x08, 0x04))],
    [43, vector(1, Uint8Array.of(0x03, 0x04))],
    [51, vector(2, bytesOf())],
  ];
}

/** Cuts a handshake message into records of at most `size` bytes each. */
export function toRecords(message: Uint8Array, size = 16_384): Uint8Array {
  const records: Uint8Array[] = [];
  for (let at = 0; at < message.length; at += size) {
    records.push(bytesOf(Uint8Array.of(0x16, 3, 1), vector(2, message.slice(at, at + size))));
  }
  return bytesOf(...records);
}

/** Whether the records in `bytes` hold a whole ClientHello; their content if so. */
export function contentOf(bytes: Uint8Array): Uint8Array | null {
  const fragments: Uint8Array[] = [];
  for (let at = 0; at + 5 <= bytes.length;) {
    const length = bytes[at + 3]! * 256 + bytes[at + 4]!;
    if (at + 5 + length > bytes.length) return null;
    fragments.push(bytes.slice(at + 5, at + 5 + length));
    at += 5 + length;
  }
  const message = bytesOf(...fragments);
  const size = message.length < 4 ? Infinity : 4 + message[1]! * 65_536 + message[2]! * 256 + message[3]!;
  return message.length >= size ? message : null;
}

/** A length of `size` bytes, and the bytes. */
export function vector(size: number, content: Uint8Array): Uint8Array {
  return bytesOf(number(size, content.length), content);
}

function number(size: number, value: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => (value >>> (8 * (size - 1 - i))) & 0xff);
}
