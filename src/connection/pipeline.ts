/**
 * The life of a connection, top to bottom. Read this first.
 *
 * Each stage takes the record of the one before and returns a bigger one, or throws the reason why not. No stage
 * closes, logs or counts: that is done here, once, whatever happened.
 */

import { describeFailure } from "../errors.ts";
import { authorize } from "./authorize.ts";
import { connectBackend } from "./connect_backend.ts";
import { Deadline } from "./deadline.ts";
import { forwardCancel } from "./forward_cancel.ts";
import { handshake } from "./handshake.ts";
import { identify } from "./identify.ts";
import type { Accepted } from "./listen.ts";
import { negotiate } from "./negotiate.ts";
import { Progress, type Surroundings } from "./progress.ts";
import { relay } from "./relay.ts";
import { readStartup } from "./startup.ts";

/** Serves one client from accept to the closing line. Never rejects. */
export async function serveConnection(accepted: Accepted, surroundings: Surroundings): Promise<void> {
  const progress = new Progress(accepted, surroundings);
  const { listener, backend } = accepted.route.config;
  const late = `No StartupMessage within ${listener.startupTimeoutMs} ms (startup_timeout)`;
  const startup = new Deadline(listener.startupTimeoutMs, "startup_timeout", late);
  try {
    const stopped = progress.stoppedBy(startup);
    const negotiated = progress.negotiated(await negotiate(accepted, stopped));
    const secured = progress.secured(await handshake(negotiated, stopped));
    const identified = progress.identified(identify(secured));
    const started = progress.started(await readStartup(identified, stopped));
    startup.clear();
    const authorized = progress.authorized(authorize(started));
    const connected = progress.connected(await connectBackend(authorized.route, progress.own));
    if (authorized.packet.kind === "cancel_request") {
      await forwardCancel(authorized.packet, connected, backend.connectTimeoutMs);
      return await progress.close("cancel_forwarded");
    }
    connected.stream.write(authorized.packet.bytes);
    const session = progress.relaying(relay(authorized.stream, connected.stream, listener));
    const { reason, error, canAnswer } = await session.ended;
    await progress.close(reason, error ? describeFailure(error) : null, canAnswer);
  } catch (error) {
    const failure = describeFailure(error);
    await progress.close(failure.reason, failure, true, error);
  } finally {
    startup.clear();
  }
}
