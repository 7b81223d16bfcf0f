/** Stage before negotiate: the PROXY protocol header of a trusted load balancer. Takes `Accepted`, gives `Accepted`. */

import { ProtocolError, StageError } from "../errors.ts";
import { decodeProxyHeader, MAX_PROXY_HEADER_BYTES, type ProxyHeader } from "../wire/proxy_protocol.ts";
import type { Accepted } from "./listen.ts";
import { formatAddress, readClient } from "./socket.ts";

/**
 * Reads the header that a peer in `proxy_protocol_from` must send first, and takes the client it names for the
 * client. What follows stays in the socket. From anybody else nothing is read: a header is garbage there.
 *
 * @throws {ProtocolError} If there is no header, or a malformed one.
 * @throws {StageError} `client_closed`, `client_lost`, or the signal's reason.
 */
export async function readProxyHeader(accepted: Accepted, signal: AbortSignal): Promise<Accepted> {
  const { endpoint, socket } = accepted;
  if (!endpoint.expectsProxyHeader(socket.remoteAddress)) return accepted;
  let held: Uint8Array = new Uint8Array(0);
  while (true) {
    const header = held.length === 0 ? null : decodeProxyHeader(held);
    if (header !== null) return takeHeader(accepted, header, held);
    const chunk = await readClient(socket, MAX_PROXY_HEADER_BYTES - held.length, signal);
    if (chunk === null) {
      if (held.length > 0) throw new ProtocolError("Cannot read the PROXY protocol header: it is cut short");
      throw new StageError(
        "client_closed",
        "Load balancer closed the connection before its PROXY protocol header",
      );
    }
    held = joined(held, chunk);
  }
}

function takeHeader(accepted: Accepted, { client, size }: ProxyHeader, held: Uint8Array): Accepted {
  if (held.length > size) accepted.socket.unshift(held.subarray(size));
  return {
    ...accepted,
    proxy: accepted.client,
    client: client === null ? accepted.client : formatAddress(client.host, client.port),
    headerBytes: size,
  };
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
