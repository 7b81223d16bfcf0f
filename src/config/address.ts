/**
 * Addresses and server names: from text to values, and which addresses are the same place.
 * Nothing is resolved here: two host names that lead to one machine count as different.
 */

import { isIpv4, isIpv6 } from "../ip_address.ts";
import type { Address, TcpAddress } from "./types.ts";

export type { TcpAddress } from "./types.ts";

/**
 * Reads `host:port`, `1.2.3.4:port` or `[::1]:port`.
 *
 * @returns The address, port 0–65535; `null` if `text` is none.
 */
export function parseTcpAddress(text: string): TcpAddress | null {
  const match = TCP_ADDRESS.exec(text);
  if (match === null) return null;
  const host = match[1] === undefined ? parseHost(match[2] ?? "") : parseIpv6(match[1]);
  const port = Number(match[3]);
  return host === null || port > 65_535 ? null : { kind: "tcp", host, port };
}

/** Reads the address of a backend: `host:port` with a port from 1, or the absolute path of a unix socket. */
export function parseBackendAddress(text: string): Address | null {
  if (text.startsWith("/")) return SOCKET_PATH.test(text) ? { kind: "unix", path: text } : null;
  const address = parseTcpAddress(text);
  return address === null || address.port === 0 ? null : address;
}

/** Reads the address of a listener: `host:port`, port 0 = any free one, or the absolute path of a unix socket. */
export function parseListenAddress(text: string): Address | null {
  return text.startsWith("/") ? parseBackendAddress(text) : parseTcpAddress(text);
}

/**
 * Reads a name to send as SNI and to verify: a DNS name or an IP address, without port, brackets, wildcard or
 * trailing dot (RFC 6066 section 3 forbids the dot).
 */
export function parseServerName(text: string): string | null {
  return text.endsWith(".") ? null : parseIpv6(text) ?? parseHost(text);
}

/**
 * Reads a name that clients may send as SNI: a DNS name, or `*.` and a DNS name. In lower case.
 * IP addresses are never sent (RFC 6066 section 3).
 */
export function parseServerNamePattern(text: string): string | null {
  const name = text.startsWith("*.") ? text.slice(2) : text;
  if (isIpv4(name) || name.endsWith(".")) return null;
  const host = parseHost(name);
  return host === null ? null : `${text.slice(0, text.length - name.length)}${host}`;
}

/** The server name that goes with an address when the configuration gives none; `null` for a unix socket. */
export function defaultServerName(address: Address): string | null {
  return address.kind === "unix" ? null : address.host.replace(/\.$/, "");
}

/** Whether only this machine can reach `host`: `localhost`, 127.0.0.0/8, `::1`. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (host.startsWith("127.") && isIpv4(host));
}

/** Whether two listeners cannot both be bound: the same port, and hosts of which one covers the other. */
export function isListenerConflict(one: Address, other: Address): boolean {
  if (one.kind === "unix" || other.kind === "unix") return isSameListener(one, other);
  if (one.port !== other.port || one.port === 0) return false;
  if (isSameHost(one.host, other.host)) return true;
  return isWildcardFor(one.host, other.host) || isWildcardFor(other.host, one.host);
}

/** Whether two listeners are one: the same port, not any free one, on the same host; or the same path. */
export function isSameListener(one: Address, other: Address): boolean {
  if (one.kind === "unix" || other.kind === "unix") {
    return one.kind === "unix" && other.kind === "unix" && one.path === other.path;
  }
  return one.port === other.port && one.port !== 0 && one.host === other.host;
}

/** Whether a connection to `backend` comes back to `listener`: pgtls would dial itself without end. */
export function isLoop(listener: Address, backend: Address): boolean {
  if (listener.kind === "unix") return isSameListener(listener, backend);
  if (backend.kind === "unix" || backend.port !== listener.port) return false;
  if (isSameHost(listener.host, backend.host)) return true;
  // Another host's name behind a wildcard listener is the usual setup, not a loop.
  const isHere = isLoopback(backend.host) || isWildcard(backend.host);
  if (isWildcard(backend.host) && isLoopback(listener.host)) return true;
  return isHere && isWildcardFor(listener.host, backend.host);
}

/** `::` covers IPv4 too: Linux binds it dual-stack unless told otherwise, and so does Deno. */
function isWildcardFor(wildcard: string, host: string): boolean {
  return wildcard === "::" || (wildcard === "0.0.0.0" && (host === "::" || !isIpv6(host)));
}

function isWildcard(host: string): boolean {
  return host === "::" || host === "0.0.0.0";
}

function isSameHost(one: string, other: string): boolean {
  if (one === other) return true;
  return (one === "localhost" && LOCALHOST.has(other)) || (other === "localhost" && LOCALHOST.has(one));
}

function parseHost(text: string): string | null {
  if (isIpv4(text)) return text;
  const name = text.toLowerCase();
  const labels = name.replace(/\.$/, "").split(".");
  // RFC 1123 section 2.1: a name whose last label is a number is a mistyped IPv4 address.
  if (name.length > 253 || /^[0-9]+$/.test(labels.at(-1) ?? "")) return null;
  return labels.every((label) => LABEL.test(label)) ? name : null;
}

function parseIpv6(text: string): string | null {
  return isIpv6(text) ? new URL(`http://[${text}]`).hostname.slice(1, -1) : null;
}

const TCP_ADDRESS = /^(?:\[([^\]]+)\]|([^:[\]]+)):([0-9]{1,5})$/;

/** Underscores are no host name by RFC 952, but container networks and rustls have them. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** `sun_path` of Linux's `sockaddr_un` holds 108 bytes with its NUL. */
const SOCKET_PATH = /^\/\P{Cc}{1,106}$/u;

const LOCALHOST: ReadonlySet<string> = new Set(["127.0.0.1", "::1"]);
