/** PROXY protocol headers made of bytes, as a load balancer or an attacker would. */
import { parseIp } from "../../src/ip_address.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { bytesOf } from "../wire/bytes.ts";

/** What a header of version 2 is made of. */
export interface V2Parts {
  /** @default "proxy" */
  readonly command?: "proxy" | "local";
  /** Source and destination, as `["192.0.2.1", 51514]`; unspecified family unless given. */
  readonly source?: readonly [host: string, port: number];
  readonly destination?: readonly [host: string, port: number];
  /** TLVs: type and value. */
  readonly tlvs?: readonly (readonly [type: number, value: Uint8Array])[];
  /** Adds the checksum TLV, right or wrong. */
  readonly crc?: "right" | "wrong";
}

/** A header of version 2. */
export function v2Header(parts: V2Parts = {}): Uint8Array {
  const { command = "proxy", source, destination = ["::1", 6432], tlvs = [], crc } = parts;
  const isIpv4 = source !== undefined && parseIp(source[0])!.length === 4;
  const target = isIpv4 ? ["127.0.0.1", destination[1]] as const : destination;
  const addresses = source === undefined
    ? bytesOf()
    : bytesOf(parseIp(source[0])!, parseIp(target[0])!, word(source[1]), word(target[1]));
  const checksum = crc === undefined ? bytesOf() : tlv(0x03, new Uint8Array(4));
  const body = bytesOf(addresses, ...tlvs.map(([type, value]) => tlv(type, value)), checksum);
  const family = source === undefined ? 0 : isIpv4 ? 0x11 : 0x21;
  const header = bytesOf(SIGNATURE, command === "local" ? 0x20 : 0x21, family, word(body.length), body);
  if (crc !== undefined) {
    new DataView(header.buffer).setUint32(header.length - 4, crc32c(header) ^ (crc === "right" ? 0 : 1));
  }
  return header;
}

/** A TLV: type, length, value. */
export function tlv(type: number, value: Uint8Array): Uint8Array {
  return bytesOf(type, word(value.length), value);
}

function word(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

const SIGNATURE = "\r\n\r\n\0\r\nQUIT\n";
