/** Whom limits count as one. */

import { formatIp, parseIp } from "../ip_address.ts";

/**
 * Where a client comes from, as far as it cannot choose: the IPv4 address, or the first 64 bits of the IPv6 address, which
 * is the least that anybody gets; anything else as it is.
 *
 * @param client `address:port` as logs show it, IPv6 in brackets.
 */
export function networkOf(client: string): string {
  const host = client.slice(0, Math.max(client.lastIndexOf(":"), 0)).replace(/^\[|\]$/g, "");
  const octets = parseIp(host.replace(/%.*$/, ""));
  if (octets === null) return client;
  return formatIp(octets.length === 4 ? octets : octets.fill(0, 8));
}
