/**
 * The PROXY protocol, versions 1 and 2: how a load balancer says, before anything else, whose connection it passes on.
 *
 * Whoever may send a header may claim any address: the caller has to know who that is.
 *
 * @see {@link https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt | The PROXY protocol}
 */
import { ProtocolError } from "../errors.ts";
import { formatIp, parseIp, unmap } from "../ip_address.ts";
import { crc32c } from "./crc32c.ts";

/** What a header says. */
export interface ProxyHeader {
  /** The client of the load balancer; `null` if it does not say, or speaks for itself (a health check). */
  readonly client: { readonly host: string; readonly port: number } | null;
  /** The header's own length in bytes; what follows is the client's. */
  readonly size: number;
}

/**
 * Decodes the header at the front of `bytes`, if it is complete. Refuses as soon as the bytes allow.
 *
 * @returns `null` while bytes are missing; more than {@linkcode MAX_PROXY_HEADER_BYTES} are never needed.
 * @throws {ProtocolError} If it is no header, is malformed or too long, or its CRC-32C is there and wrong.
 */
export function decodeProxyHeader(bytes: Uint8Array): ProxyHeader | null {
  if (startsLike(bytes, V1_SIGNATURE)) return bytes.length < V1_SIGNATURE.length ? null : decodeV1(bytes);
  if (startsLike(bytes, V2_SIGNATURE)) return bytes.length < V2_HEAD_BYTES ? null : decodeV2(bytes);
  throw refused("expected a header");
}

/** `PROXY TCP4 192.0.2.1 198.51.100.1 51514 6432`, CR, LF: at most 107 bytes. */
function decodeV1(bytes: Uint8Array): ProxyHeader | null {
  const line = LATIN1.decode(bytes.subarray(0, V1_MAX_BYTES));
  const end = line.indexOf("\r\n");
  if (end === -1) {
    if (line.length === V1_MAX_BYTES) {
      throw refused(`a line of version 1 has more than ${V1_MAX_BYTES} bytes`);
    }
    return null;
  }
  const [, family, ...words] = line.slice(0, end).split(" ");
  const size = end + 2;
  // What follows UNKNOWN, if anything, is to be ignored.
  if (family === "UNKNOWN") return { client: null, size };
  const [source, destination, sourcePort, destinationPort, ...more] = words;
  const addresses = [source, destination].map((text) => parseIp(text ?? ""));
  const ports = [sourcePort, destinationPort].map((text) => PORT.test(text ?? "") ? Number(text) : NaN);
  const isOfFamily = [source, destination].every((text) => text?.includes(":") === (family === "TCP6"));
  const [address] = addresses;
  const isWhole = more.length === 0 && isOfFamily && addresses.every((each) => each !== null) &&
    ports.every((port) => port <= 65_535);
  if ((family !== "TCP4" && family !== "TCP6") || !isWhole || !address) {
    throw refused("a line of version 1 is malformed");
  }
  return { client: { host: formatIp(address), port: ports[0]! }, size };
}

/** Signature (12), version and command (1), family and transport (1), length (2), addresses, then TLVs. */
function decodeV2(bytes: Uint8Array): ProxyHeader | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const [versionAndCommand, familyAndTransport] = [view.getUint8(12), view.getUint8(13)];
  const size = V2_HEAD_BYTES + view.getUint16(14);
  if (versionAndCommand !== V2_LOCAL && versionAndCommand !== V2_PROXY) {
    throw refused("version or command is neither of those of version 2");
  }
  if (size > MAX_PROXY_HEADER_BYTES) throw refused(`it has more than ${MAX_PROXY_HEADER_BYTES} bytes`);
  const addressBytes = ADDRESS_BYTES.get(familyAndTransport);
  if (versionAndCommand === V2_PROXY && (addressBytes === undefined || size < V2_HEAD_BYTES + addressBytes)) {
    throw refused("its addresses are of an unknown kind, or cut short");
  }
  if (bytes.length < size) return null;
  if (versionAndCommand === V2_LOCAL) return { client: null, size };
  const header = bytes.subarray(0, size);
  checkTlvs(header, V2_HEAD_BYTES + addressBytes!);
  const width = ADDRESS_WIDTH.get(familyAndTransport);
  if (width === undefined) return { client: null, size };
  const host = formatIp(unmap(header.slice(V2_HEAD_BYTES, V2_HEAD_BYTES + width)));
  return { client: { host, port: view.getUint16(V2_HEAD_BYTES + 2 * width) }, size };
}

/** Type (1), length (2), value, over and over. None is of use here but the checksum, which must be right if it is there. */
function checkTlvs(header: Uint8Array, start: number): void {
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  let at = start;
  while (at < header.length) {
    const value = at + TLV_HEAD_BYTES;
    const end = value > header.length ? Infinity : value + view.getUint16(at + 1);
    if (end > header.length) throw refused("a TLV leads past its end");
    if (header[at] === TLV_CRC32C) checkCrc(header, value, end);
    at = end;
  }
}

function checkCrc(header: Uint8Array, start: number, end: number): void {
  const zeroed = header.slice().fill(0, start, end);
  const written = end - start === 4 ? new DataView(header.buffer, header.byteOffset).getUint32(start) : NaN;
  if (crc32c(zeroed) !== written) throw refused("its CRC-32C is wrong");
}

function startsLike(bytes: Uint8Array, signature: Uint8Array): boolean {
  return signature.every((byte, i) => i >= bytes.length || bytes[i] === byte);
}

function refused(why: string): ProtocolError {
  return new ProtocolError(`Cannot read the PROXY protocol header: ${why}`);
}

/**
 * The longest header: addresses and some TLVs have a few hundred bytes, a client's certificate that a load balancer puts
 * there some thousand. The length field would allow 65,551.
 */
export const MAX_PROXY_HEADER_BYTES = 16_384;

/** The longest line of version 1, two IPv6 addresses and CR LF included. */
const V1_MAX_BYTES = 107;

const V1_SIGNATURE = new TextEncoder().encode("PROXY ");
const V2_SIGNATURE = Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a);

const V2_HEAD_BYTES = 16;
const V2_LOCAL = 0x20;
const V2_PROXY = 0x21;

/** How long the addresses are, by family and transport: unspecified, and TCP over IPv4, IPv6, unix sockets. */
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([[0x00, 0], [0x11, 12], [0x21, 36], [0x31, 216]]);

/** Of those that are IP addresses. */
const ADDRESS_WIDTH: ReadonlyMap<number, number> = new Map([[0x11, 4], [0x21, 16]]);

const TLV_HEAD_BYTES = 3;
const TLV_CRC32C = 0x03;

const PORT = /^(?:0|[1-9][0-9]{0,4})$/;

const LATIN1 = new TextDecoder("latin1");
