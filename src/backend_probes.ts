/** Whether the backends can be reached and trusted, asked as a client's connection would ask. */

import { connectBackend } from "./connection/connect_backend.ts";
import { Deadline } from "./connection/deadline.ts";
import type { RouteConfig } from "./config/types.ts";
import { type CloseReason, describeFailure } from "./errors.ts";
import type { RouteMaterial } from "./tls/material.ts";

/** A route as far as its backend goes. */
export interface ProbedRoute {
  readonly config: RouteConfig;
  readonly material: Pick<RouteMaterial, "backend">;
}

/** A backend that clients of `route` would not get. */
export interface FailedProbe {
  readonly route: string;
  readonly what: CloseReason;
  readonly detail: string;
}

/**
 * Probes with a memory: however often readiness is asked for, each backend is dialled once in {@linkcode KEPT_MS}, and
 * once for all routes that dial it in the same way.
 */
export class BackendProbes {
  readonly #routes: () => readonly ProbedRoute[];
  #current: { readonly since: number; readonly result: Promise<readonly FailedProbe[]> } | null = null;

  /** @param routes The routes as they are now. */
  constructor(routes: () => readonly ProbedRoute[]) {
    this.#routes = routes;
  }

  /** The backends that fail, in the order of the routes. Never rejects. */
  failures(): Promise<readonly FailedProbe[]> {
    if (this.#current === null || performance.now() - this.#current.since > KEPT_MS) {
      this.#current = { since: performance.now(), result: probeAll(this.#routes()) };
    }
    return this.#current.result;
  }
}

async function probeAll(routes: readonly ProbedRoute[]): Promise<readonly FailedProbe[]> {
  const groups = Map.groupBy(routes, ({ config }) => JSON.stringify(config.backend));
  const failures = await Promise.all([...groups.values()].map(async (alike) => {
    const failure = await probe(alike[0]!);
    return failure === null ? [] : alike.map(({ config }) => ({ route: config.name, ...failure }));
  }));
  const order = new Map(routes.map(({ config }, i) => [config.name, i]));
  return failures.flat().sort((one, other) => order.get(one.route)! - order.get(other.route)!);
}

/** TCP, TLS and verification, then a close before the StartupMessage, which PostgreSQL does not log. */
async function probe(route: ProbedRoute): Promise<Omit<FailedProbe, "route"> | null> {
  const sockets: { destroy(): void }[] = [];
  const limitMs = Math.min(route.config.backend.connectTimeoutMs, PROBE_MS);
  const deadline = new Deadline(
    limitMs,
    "backend_timeout",
    `Could not reach the backend within ${limitMs} ms`,
  );
  try {
    await connectBackend(route, { signal: deadline.signal, onSocket: (socket) => sockets.push(socket) });
    return null;
  } catch (error) {
    const { reason, detail } = describeFailure(error);
    return { what: reason, detail };
  } finally {
    deadline.clear();
    for (const socket of sockets) socket.destroy();
  }
}

// A balancer asks every few seconds, from several places.
const KEPT_MS = 5_000;

// Whoever asks for readiness waits a few seconds at most.
const PROBE_MS = 5_000;
