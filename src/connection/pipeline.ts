/**
 * The life of a connection, top to bottom. Read this first.
 *
 * Each stage takes the record of the one before and returns a bigger one, or throws the reason why not. No stage
 * closes, logs or counts: that is done here, once, whatever happened.
 */

import { describeFailure } from "../errors.ts";
import { authorize, type Authorized } from "./authorize.ts";
import { connectBackend, connectDeadline } from "./connect_backend.ts";
import { Deadline } from "./deadline.ts";
import { forwardCancel } from "./forward_cancel.ts";
import { handshake } from "./handshake.ts";
import { identify } from "./identify.ts";
import type { Accepted } from "./listen.ts";
import { negotiate } from "./negotiate.ts";
import { Progress, type Surroundings } from "./progress.ts";
import { relay, type Session } from "./relay.ts";
import { readStartup } from "./startup.ts";

/** Serves one client from accept to the closing line. Never rejects. */
export async function serveConnection(accepted: Accepted, surroundings: Surroundings): Promise<void> {
  const progress = new Progress(accepted, surroundings);
  try {
    const session = await openSession(await admit(accepted, progress), progress);
    if (session === null) return await progress.close("cancel_forwarded");
    const { reason, error, canAnswer } = await session.ended;
    await progress.close(reason, error ? describeFailure(error) : null, canAnswer);
  } catch (error) {
    const failure = describeFailure(error);
    await progress.close(failure.reason, failure, true, error);
  }
}

/** From the first byte to a client that is known and may go on, within `startup_timeout`. */
async function admit(accepted: Accepted, progress: Progress): Promise<Authorized> {
  const { startupTimeoutMs } = accepted.endpoint.defaultRoute.config.listener;
  const late = `No StartupMessage within ${startupTimeoutMs} ms (startup_timeout)`;
  const deadline = progress.stoppedBy(new Deadline(startupTimeoutMs, "startup_timeout", late));
  try {
    const negotiated = progress.negotiated(await negotiate(accepted, deadline.signal));
    const secured = progress.secured(await handshake(negotiated, deadline.signal));
    const identified = progress.identified(identify(secured));
    const started = progress.started(await readStartup(identified, deadline.signal));
    return progress.authorized(authorize(started));
  } finally {
    deadline.clear();
  }
}

/** From there to the backend, within `connect_timeout`; `null` when a CancelRequest was all there was to forward. */
async function openSession(authorized: Authorized, progress: Progress): Promise<Session | null> {
  const { packet, route, stream } = authorized;
  const deadline = progress.stoppedBy(connectDeadline(route.config.backend));
  const { signal } = deadline;
  try {
    const backend = progress.connected(await connectBackend(route, { signal, onSocket: progress.own }));
    if (packet.kind === "cancel_request") {
      await forwardCancel(packet, backend, signal);
      return null;
    }
    backend.stream.write(packet.bytes);
    return progress.relaying(relay(stream, backend.stream, route.config.listener));
  } finally {
    deadline.clear();
  }
}
