/** What a client is told at the end, and where it can be read. */

import type { Socket } from "node:net";
import type { Failure } from "../errors.ts";
import { encodeAlert } from "../tls/alert.ts";
import { encodeErrorResponse } from "../wire/error_response.ts";
import type { Sockets } from "./sockets.ts";
import type { State } from "./state.ts";

/** Bytes, and the socket they are for. */
export interface LastWords {
  readonly bytes: Uint8Array;
  readonly socket: Socket;
}

/** `null` where there is nothing to say, or nobody who could read it, as in the middle of a TLS handshake. */
export function lastWords(failure: Failure, at: { state: State; sockets: Sockets }): LastWords | null {
  const bytes = encode(failure);
  if (bytes === null) return null;
  const socket = readableBy(failure, at);
  return socket && { bytes, socket };
}

function encode({ alert, answer }: Failure): Uint8Array | null {
  if (alert !== undefined) return encodeAlert(alert);
  return answer && encodeErrorResponse({ severity: "FATAL", ...answer });
}

function readableBy(
  { alert }: Failure,
  { state, sockets }: { state: State; sockets: Sockets },
): Socket | null {
  const { accepted, client } = sockets.ends;
  if (client !== null) return client;
  if (alert !== undefined) return state === "negotiated" ? accepted : null;
  return state === "accepted" ? accepted : null;
}
