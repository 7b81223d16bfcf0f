/** IP addresses and ranges of them, as text and as octets. Pure. */

/** Addresses that share their first bits, as CIDR notation writes them. */
export interface IpRange {
  /** 4 octets of IPv4 or 16 of IPv6; those behind the prefix are 0. */
  readonly octets: Uint8Array;
  /** In bits. */
  readonly prefixLength: number;
}

/**
 * Reads an address in any spelling.
 *
 * @returns 4 octets of IPv4, also where it is spelt `::ffff:192.0.2.1`, as systems do on a socket bound to `::`;
 *   16 of IPv6; `null` if it is neither.
 */
export function parseIp(text: string): Uint8Array | null {
  return parseIpv4(text) ?? unmap(parseIpv6(text));
}

/** Writes an address: IPv6 in lower case with its longest run of zeros left out (RFC 5952). */
export function formatIp(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join(".");
  const groups = Array.from(
    { length: 8 },
    (_, i) => (octets[2 * i]! * 256 + octets[2 * i + 1]!).toString(16),
  );
  const runs = [...groups.join(":").matchAll(/\b0(?::0)+\b/g)].map(([run]) => run);
  const longest = runs.reduce((one, other) => other.length > one.length ? other : one, "");
  if (longest === "") return groups.join(":");
  const text = groups.join(":");
  // Of two runs of one length the first.
  const start = text.search(new RegExp(`(?<![0-9a-f])${longest}(?![0-9a-f])`));
  return `${text.slice(0, start).replace(/:$/, "")}::${text.slice(start + longest.length).replace(/^:/, "")}`;
}

/** 16 octets that stand for an IPv4 address become its 4. */
export function unmap<Octets extends Uint8Array | null>(octets: Octets): Uint8Array | Octets {
  if (octets === null || octets.length !== 16) return octets;
  return MAPPED_PREFIX.every((octet, i) => octets[i] === octet) ? octets.slice(12) : octets;
}

/**
 * Reads a range, such as `10.0.0.0/8`, or an address, which is a range of one.
 *
 * @returns `null` if it is none, or if it has bits set behind its prefix: either may be the mistake.
 */
export function parseIpRange(text: string): IpRange | null {
  const [, address, prefix] = /^([^/]+)(?:\/(0|[1-9][0-9]{0,2}))?$/.exec(text) ?? [];
  const written = address === undefined ? null : parseIpv4(address) ?? parseIpv6(address);
  if (written === null) return null;
  const prefixLength = prefix === undefined ? 8 * written.length : Number(prefix);
  if (prefixLength > 8 * written.length || hasBitsBehind(written, prefixLength)) return null;
  const octets = unmap(written);
  if (octets.length === written.length) return { octets, prefixLength };
  return prefixLength < 96 ? null : { octets, prefixLength: prefixLength - 96 };
}

/** Writes a range in CIDR notation. */
export function formatIpRange({ octets, prefixLength }: IpRange): string {
  return `${formatIp(octets)}/${prefixLength}`;
}

/** Whether the range holds the address (as {@linkcode parseIp} gives it). No IPv6 range holds IPv4 addresses. */
export function isInRange(address: Uint8Array, range: IpRange): boolean {
  if (address.length !== range.octets.length) return false;
  const whole = range.prefixLength >> 3;
  for (let i = 0; i < whole; i++) if (address[i] !== range.octets[i]) return false;
  const bits = range.prefixLength & 7;
  return bits === 0 || (address[whole]! ^ range.octets[whole]!) >> (8 - bits) === 0;
}

function hasBitsBehind(octets: Uint8Array, prefixLength: number): boolean {
  return octets.some((octet, i) => (octet & (0xff >> Math.min(Math.max(prefixLength - 8 * i, 0), 8))) !== 0);
}

/** Whether `text` is an IPv4 address in decimal octets, none of which begins with a 0. */
export function isIpv4(text: string): boolean {
  return IPV4.test(text);
}

/** Whether `text` is an IPv6 address in any spelling, without a zone. */
export function isIpv6(text: string): boolean {
  return parseIpv6(text) !== null;
}

function parseIpv4(text: string): Uint8Array | null {
  return IPV4.test(text) ? Uint8Array.from(text.split("."), Number) : null;
}

function parseIpv6(text: string): Uint8Array | null {
  const [, head, embedded] = /^(.*:)([0-9.]+\.[0-9.]+)$/.exec(text) ?? [];
  if (head !== undefined && embedded !== undefined) {
    const octets = parseIpv4(embedded);
    if (octets === null) return null;
    const [a, b, c, d] = octets as unknown as [number, number, number, number];
    return parseIpv6(`${head}${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`);
  }
  const halves = text.split("::");
  if (text.length > MAX_IPV6_LENGTH || halves.length > 2) return null;
  const [left, right = []] = halves.map((half) => half === "" ? [] : half.split(":")) as [
    string[],
    string[]?,
  ];
  const missing = 8 - left.length - right.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const groups = [...left, ...new Array<string>(missing).fill("0"), ...right];
  if (!groups.every((group) => GROUP.test(group))) return null;
  return Uint8Array.from(groups.flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]));
}

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

const GROUP = /^[0-9A-Fa-f]{1,4}$/;

/** `ffff:` eight times, without the last colon. */
const MAX_IPV6_LENGTH = 39;

const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
