/** Stage 6: whether this client may have this session. Takes `Started`, gives `Authorized`. Nothing is dialled before. */

import { StageError } from "../errors.ts";
import { buildPostgresqlScope } from "../scope/build.ts";
import type { Decision } from "../scope/decision.ts";
import { AppRun } from "../scope/run_app.ts";
import type { App, PostgresqlScope } from "../scope/types.ts";
import type { StartupMessage } from "../wire/startup_packet.ts";
import { changeLogin, type Login, loginOf, requirePlainNames } from "./login.ts";
import { MAX_CANCELS, type Route } from "./route.ts";
import { scopeFacts } from "./scope_facts.ts";
import { ignore } from "./socket.ts";
import type { Started } from "./startup.ts";

/** The client may go on to the backend. */
export interface Authorized extends Started {
  /** Gives the session's place in `max_connections` back; safe to call twice. */
  readonly leave: () => void;
  /** What the session says to the backend; `null` if and only if the packet is a CancelRequest. */
  readonly login: Login | null;
  /** The route whose backend is dialled: the client's own, unless an app chose another's. */
  readonly backendRoute: Route;
}

/** What the stage needs of its caller. */
export interface AuthorizeOptions {
  /** Ends the wait for the app; see `app_timeout`. */
  readonly signal: AbortSignal;
  readonly findRoute: (name: string) => Route | undefined;
  /** Calls the app; the caller tells it of the end of the connection. */
  readonly startApp: (app: App, scope: PostgresqlScope, graceMs: number) => AppRun;
}

/**
 * Admits the session if one of the route's rules matches it, within `max_connections`, and if the route's app
 * accepts it. Rules and app see the same scope.
 *
 * A CancelRequest goes through no app, because it names nobody: its secret key is what protects it. It needs no place
 * among the sessions either, because a full route is when somebody wants to cancel something; but anybody may send
 * one, and each costs a connection to the backend, so there is a number of them that a route forwards at a time.
 *
 * @throws {StageError} `limit_reached`, `rule_denied`, `app_rejected`, `app_failed`, or the signal's reason.
 */
export async function authorize(started: Started, options: AuthorizeOptions): Promise<Authorized> {
  const { packet, route } = started;
  if (packet.kind === "cancel_request") {
    return { ...started, leave: enterCancels(route), login: null, backendRoute: route };
  }
  const { rules, app } = route;
  const unchanged = { login: loginOf(packet), backendRoute: route };
  if (rules === null && app === null) return { ...started, leave: enterSessions(route), ...unchanged };
  requirePlainNames(packet);
  const scope = buildPostgresqlScope(scopeFacts(started));
  if (rules !== null) await obey(rules, scope, options.signal);
  // Before the app: one that takes its time must not be asked about more sessions than the route carries.
  const leave = enterSessions(route);
  if (app === null) return { ...started, leave, ...unchanged };
  try {
    const run = options.startApp(app, scope, route.config.appTimeoutMs);
    const accepted = apply(await run.decided(options.signal), {
      packet,
      route,
      findRoute: options.findRoute,
    });
    return { ...started, leave, ...accepted };
  } catch (error) {
    leave();
    throw error;
  }
}

/** Rules decide at once, and do not wait for the end of the connection. */
async function obey(rules: App, scope: PostgresqlScope, signal: AbortSignal): Promise<void> {
  const run = new AppRun(rules, scope, { failed: ignore, revoked: ignore, graceMs: 0 });
  const decision = await run.decided(signal);
  if (decision.kind === "accepted") return;
  throw new StageError("rule_denied", decision.detail ?? decision.message);
}

function enterCancels({ cancels }: Route): () => void {
  const leave = cancels.enter(MAX_CANCELS);
  if (leave === null) throw new StageError("limit_reached", "Cannot forward more CancelRequests at a time");
  return leave;
}

function enterSessions({ sessions, config }: Route): () => void {
  const { maxConnections } = config.listener;
  const leave = sessions.enter(maxConnections);
  if (leave !== null) return leave;
  throw new StageError(
    "limit_reached",
    `Cannot admit more than ${maxConnections} sessions (max_connections)`,
  );
}

function apply(
  decision: Decision,
  session: { readonly packet: StartupMessage; readonly route: Route } & Pick<AuthorizeOptions, "findRoute">,
): Pick<Authorized, "login" | "backendRoute"> {
  if (decision.kind === "rejected") {
    const { message, sqlstate, detail } = decision;
    throw new StageError("app_rejected", detail ?? message, { answer: { message, sqlstate } });
  }
  const { packet, route, findRoute } = session;
  const backendRoute = decision.backend === null ? route : findRoute(decision.backend);
  if (backendRoute === undefined) {
    throw new StageError("app_failed", "App chose the backend of a route that does not exist");
  }
  return { login: changeLogin(packet, decision), backendRoute };
}
