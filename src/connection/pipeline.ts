/**
 * The life of a connection, top to bottom. Read this first.
 *
 * Each stage takes the record of the one before and returns a bigger one, or throws the reason why not. No stage
 * closes, logs or counts: that is done here, once, whatever happened.
 */

import { describeFailure, StageError } from "../errors.ts";
import { authenticate, authenticationDeadline } from "./authenticate.ts";
import { authorize, type Authorized, type AuthorizeOptions } from "./authorize.ts";
import { chooseRoute } from "./choose_route.ts";
import { type Backend, connectBackend, connectDeadline } from "./connect_backend.ts";
import { Deadline } from "./deadline.ts";
import { forwardCancel } from "./forward_cancel.ts";
import { refuseGuesser } from "./guess.ts";
import { handshake } from "./handshake.ts";
import { identify } from "./identify.ts";
import type { Accepted } from "./listen.ts";
import { negotiate } from "./negotiate.ts";
import { Progress } from "./progress.ts";
import type { Route } from "./route.ts";
import { readProxyHeader } from "./read_proxy_header.ts";
import { relay } from "./relay.ts";
import type { Session } from "./session.ts";
import { readStartup, type Started } from "./startup.ts";
import type { Surroundings } from "./surroundings.ts";

/**
 * Serves one client from accept to the closing line. Never rejects. While its session lasts nothing waits but one function:
 * sessions last, and are many.
 *
 * @param broken Told when a connection cannot be closed as it should.
 */
// deno-lint-ignore require-await -- what is thrown rejects, and `accepted` is let go of at once
export async function serveConnection(
  accepted: Accepted,
  surroundings: Surroundings,
  broken: (error: unknown) => void,
): Promise<void> {
  const progress = new Progress(accepted, surroundings);
  const opening = openSession(accepted, progress, surroundings);
  const over = () => {
    finish(opening, progress).catch(broken);
  };
  opening.then((session) => session === null ? over() : session.onEnded(over), over);
}

/** When there is no session, or when it has ended. */
async function finish(opening: Promise<Session | null>, progress: Progress): Promise<void> {
  try {
    const session = await opening;
    if (session === null) return await progress.close("cancel_forwarded");
    const { reason, error, canAnswer } = await session.ended;
    await progress.close(reason, error ? describeFailure(error) : null, canAnswer);
  } catch (error) {
    const failure = describeFailure(error);
    await progress.close(failure.reason, failure, true, error);
  } finally {
    progress.destroy();
  }
}

/** Every stage up to the relay; `null` when a CancelRequest was all there was to forward. */
async function openSession(
  accepted: Accepted,
  progress: Progress,
  surroundings: Surroundings,
): Promise<Session | null> {
  const authorized = await permit(await admit(accepted, progress), progress, surroundings);
  return await reachSession(authorized, progress);
}

/** From the first byte to a client that is known and has said what it wants, within `startup_timeout`. */
async function admit(accepted: Accepted, progress: Progress): Promise<Started> {
  const { startupTimeoutMs } = accepted.endpoint.common;
  const late = `No StartupMessage within ${startupTimeoutMs} ms (startup_timeout)`;
  const deadline = progress.stoppedBy(new Deadline(startupTimeoutMs, "startup_timeout", late));
  const { startups } = accepted.endpoint;
  let leave = () => {};
  try {
    leave = await startups.enter(accepted.client, deadline);
    const announced = progress.announced(await readProxyHeader(accepted, deadline.signal));
    if (announced.proxy !== null) {
      // From here on it is the client's place: of all who come through one load balancer none must starve the others.
      leave();
      leave = await startups.enter(announced.client, deadline);
    }
    const negotiated = progress.negotiated(await negotiate(announced, deadline.signal));
    const routed = progress.routed(await chooseRoute(negotiated, deadline.signal));
    const secured = progress.secured(await handshake(routed, deadline.signal));
    const identified = progress.identified(identify(secured));
    return progress.started(await readStartup(identified, deadline.signal));
  } finally {
    leave();
    deadline.clear();
  }
}

/** Whether it may go on, within `app_timeout`. */
async function permit(
  started: Started,
  progress: Progress,
  { findRoute, lentBackends }: Surroundings,
): Promise<Authorized> {
  const { appTimeoutMs } = started.route.config;
  const late = `App has not decided within ${appTimeoutMs} ms (app_timeout)`;
  const deadline = progress.stoppedBy(new Deadline(appTimeoutMs, "app_failed", late));
  try {
    const options = { signal: deadline.signal, findRoute, startApp: startAppOf(progress) };
    if (started.packet.kind === "cancel_request") {
      const cancelRoutes = cancelRoutesOf(started, { findRoute, lentBackends });
      return progress.authorized(await authorizeCancel({ ...started, cancelRoutes }, options));
    }
    const authorized = progress.authorized(await authorize(started, options));
    const { route, backendRoute } = authorized;
    if (backendRoute !== route) lentBackends.note(route.config.name, backendRoute.config.name);
    return authorized;
  } finally {
    deadline.clear();
  }
}

function startAppOf(progress: Progress): AuthorizeOptions["startApp"] {
  return (app, scope, graceMs) => progress.startApp(app, scope, graceMs);
}

/** From there to the backend and into the session; `null` after a CancelRequest. */
async function reachSession(authorized: Authorized, progress: Progress): Promise<Session | null> {
  refuseGuesser(authorized);
  const backend = await reachBackend(authorized, progress);
  const { login, route, stream } = authorized;
  if (backend === null || login === null) return null;
  const deadline = progress.stoppedBy(authenticationDeadline(route.config.auth));
  try {
    const { signal } = deadline;
    const { handOver } = progress.opened(await authenticate(authorized, backend, { login, signal }));
    const { idleTimeoutMs } = route.config.listener;
    return progress.relaying(
      relay(stream, backend.stream, { idleTimeoutMs, ...(handOver !== null && { handOver }) }),
    );
  } finally {
    deadline.clear();
  }
}

/** Within `connect_timeout`, a CancelRequest included: `null` once it has been taken. */
async function reachBackend(authorized: Authorized, progress: Progress): Promise<Backend | null> {
  const { packet, route, backendRoute, cancelRoutes = [route] } = authorized;
  const dialled = packet.kind === "cancel_request" ? cancelRoutes : [backendRoute];
  const deadline = progress.stoppedBy(connectDeadline(...dialled.map(({ config }) => config.backend)));
  const { signal } = deadline;
  const connect = async (route: Route) =>
    progress.connected(await connectBackend(route, { signal, onSocket: (socket) => progress.own(socket) }));
  try {
    if (packet.kind !== "cancel_request") return await connect(backendRoute);
    await anyOf(cancelRoutes.map(async (route) => forwardCancel(packet, await connect(route), signal)));
    return null;
  } finally {
    deadline.clear();
  }
}

/** The routes whose backends may know the session that a CancelRequest means: one each. */
function cancelRoutesOf(
  { route, cancelRoutes = [route] }: Started,
  { findRoute, lentBackends }: Pick<Surroundings, "findRoute" | "lentBackends">,
): readonly Route[] {
  const lenders = cancelRoutes.flatMap(({ config }) => lentBackends.lendersTo(config.name));
  const all = [...cancelRoutes, ...lenders.flatMap((name) => findRoute(name) ?? [])];
  const byBackend = new Map(
    [...all].reverse().map((each) => [JSON.stringify(each.config.backend.address), each]),
  );
  return [...byBackend.values()].reverse();
}

/** A CancelRequest names nobody, and nothing tells which of several routes it is for: each decides for itself. */
async function authorizeCancel(
  started: Started & { readonly cancelRoutes: readonly Route[] },
  options: AuthorizeOptions,
): Promise<Authorized> {
  if (!started.endpoint.cancelRate.take(started.client)) {
    throw new StageError("limit_reached", "Cannot forward more CancelRequests from this network for now");
  }
  const admitted = await anyOf(
    started.cancelRoutes.map((route) => authorize({ ...started, route }, options)),
  );
  return {
    ...admitted[0]!,
    cancelRoutes: admitted.map(({ route }) => route),
    leave: () => admitted.forEach(({ leave }) => leave()),
  };
}

/** What became of those that succeeded, once all are done; throws what the first threw when none did. */
async function anyOf<T>(attempts: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(attempts);
  const values = results.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
  if (values.length === 0) throw (results[0] as PromiseRejectedResult).reason;
  return values;
}
