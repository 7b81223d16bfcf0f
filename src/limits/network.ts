/** Whom limits count as one. */

import { formatIp, parseIp } from "../ip_address.ts";

/**
 * Where a client comes from, as far as it cannot choose: the IPv4 address, also where a translator has made it an IPv6
 * address (RFC 6052), or the first 64 bits of the IPv6 address, which is the least that anybody gets; anything else as it is.
 *
 * @param client `address:port` as logs show it, IPv6 in brackets.
 */
export function networkOf(client: string): string {
  const host = client.slice(0, Math.max(client.lastIndexOf(":"), 0)).replace(/^\[|\]$/g, "");
  const octets = parseIp(host.replace(/%.*$/, ""));
  if (octets === null) return client;
  if (octets.length === 4) return formatIp(octets);
  // All of IPv4 has these 64 bits: it must not count as one.
  if (TRANSLATED_PREFIX.every((octet, i) => octets[i] === octet)) return formatIp(octets.slice(12));
  return formatIp(octets.fill(0, 8));
}

const TRANSLATED_PREFIX = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];
