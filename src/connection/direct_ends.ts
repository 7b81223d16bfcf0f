/** Both ends of a leg past its stream, for whoever reads and writes it before the relay does. */

import type { Socket } from "node:net";
import { releaseContent } from "../tls/handshake_bound.ts";
import { DirectSink, type SinkOwner, type SinkSocket } from "./direct_sink.ts";
import { DirectSource, type SourceOwner } from "./direct_source.ts";
import { isTls, nativeHandle, type StreamHandle } from "./native_handle.ts";

/** What reads a leg, and what writes it. */
export interface DirectEnds {
  readonly source: DirectSource;
  readonly sink: DirectSink;
}

/** The handles of both legs, or `null` where one has none, or where something waits in a stream. */
export function handlesPast(client: Socket, backend: Socket): Handles | null {
  if (![client, backend].every(isIdle)) return null;
  const handles = { client: nativeHandle(client), backend: nativeHandle(backend) };
  return handles.client !== null && handles.backend !== null ? handles as Handles : null;
}

/** One for each leg. */
export interface Handles {
  readonly client: StreamHandle;
  readonly backend: StreamHandle;
}

/** Takes the stream of `socket` out of the way; nothing is read before {@linkcode DirectSource.start}. */
export function openEnds(
  socket: Socket,
  { own, other }: { readonly own: StreamHandle; readonly other: StreamHandle },
  owner: SourceOwner & SinkOwner & SinkSocket,
): DirectEnds {
  releaseContent(socket);
  socket.pause();
  return {
    sink: new DirectSink(owner, own, owner),
    source: new DirectSource(own, { isCopied: isTls(other), owner }),
  };
}

function isIdle(socket: Socket): boolean {
  const { readable, writable, readableLength, writableLength } = socket;
  return readable && writable && readableLength === 0 && writableLength === 0;
}
