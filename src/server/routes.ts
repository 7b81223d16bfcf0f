/** From what was loaded to what connections see, keeping what a reload must not touch. */

import { Attempts } from "../auth/attempts.ts";
import { openLogins } from "../auth/logins.ts";
import type { RouteConfig } from "../config/types.ts";
import { Places } from "../connection/places.ts";
import type { Route } from "../connection/route.ts";
import type { Limits } from "../limits/limits.ts";
import type { LoadedRoute } from "../load_parts.ts";
import { allowRules } from "../scope/apps/allow_rules.ts";
import { TlsAcceptor } from "../tls/acceptor.ts";
import type { ListenerMaterial } from "../tls/material.ts";

/** The counts of a route, which outlive a reload. */
export interface Counts {
  readonly sessions: Places;
  readonly cancels: Places;
}

/** Makes routes; one that has not changed stays the same object, and its name keeps its counts. */
export class Routes {
  readonly #made = new WeakMap<LoadedRoute, Route>();
  readonly #acceptors = new WeakMap<ListenerMaterial, TlsAcceptor>();
  readonly #counts = new Map<string, Counts>();
  readonly #limits: Limits;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Sets the counts of a route that others count, too. */
  share(name: string, counts: Counts): void {
    this.#counts.set(name, counts);
  }

  of(loaded: LoadedRoute): Route {
    const made = this.#made.get(loaded) ?? this.#open(loaded);
    this.#made.set(loaded, made);
    return made;
  }

  /** Forgets the counts of routes that are gone, and empty. */
  retain(loaded: readonly LoadedRoute[]): void {
    const names = new Set(loaded.map(({ config }) => config.name));
    for (const [name, { sessions, cancels }] of this.#counts) {
      if (!names.has(name) && sessions.open === 0 && cancels.open === 0) this.#counts.delete(name);
    }
  }

  #open({ config, material, app, users }: LoadedRoute): Route {
    const acceptor = material.listener && this.#acceptorOf(material.listener, config);
    const rules = config.allow.length === 0 ? null : allowRules(config.allow);
    const attempts = new Attempts(this.#limits, config.name);
    const logins = openLogins(users, { keyPem: material.listener?.keyPem ?? null, attempts });
    return {
      config,
      material,
      acceptor,
      rules,
      app,
      logins,
      ...this.#countsOf(config.name),
      warned: new Set(),
    };
  }

  /** A route that has only moved within the file keeps its material, and with it this. */
  #acceptorOf(material: ListenerMaterial, { listener }: RouteConfig): TlsAcceptor {
    const acceptor = this.#acceptors.get(material) ??
      new TlsAcceptor(material, {
        minVersion: listener.minTlsVersion,
        requestCertificate: listener.mtls !== false,
      });
    this.#acceptors.set(material, acceptor);
    return acceptor;
  }

  #countsOf(name: string): Counts {
    const counts = this.#counts.get(name) ?? { sessions: new Places(), cancels: new Places() };
    this.#counts.set(name, counts);
    return counts;
  }
}
