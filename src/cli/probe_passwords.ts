/** What a client with a password will see on a route, said before anybody connects. */

import type { Userlist } from "../auth/userlist.ts";
import type { RouteConfig } from "../config/types.ts";
import type { Backend } from "../connection/connect_backend.ts";
import { endPointHash } from "../tls/end_point_hash.ts";
import type { RouteMaterial } from "../tls/material.ts";

/** What is known of a route's logins once its backend has shown its certificate. */
export interface ProbedRoute {
  readonly config: RouteConfig;
  readonly material: RouteMaterial;
  readonly users: Userlist | null;
  readonly backend: Backend;
}

/**
 * Says what a default psql with a password gets. SCRAM binds a login to the certificate the client saw (RFC 5929,
 * tls-server-end-point), so it depends on the certificates of both legs.
 */
export function whatPasswordsDo(route: ProbedRoute): string[] {
  switch (route.config.auth.mode) {
    case "passthrough":
      return [`passwords pass through. SCRAM: ${passThrough(route)}`];
    case "scram":
      return [`passwords (scram, ${countUsers(route.users)}): work, ${bothBindings(route)}`];
    case "password":
      return [
        "passwords (password): work, asked for inside the client's TLS and " +
        `${
          backendBinding(route.backend)
        }; clients with channel_binding=require are refused by their own libpq`,
      ];
  }
}

function passThrough({ material: { listener }, backend }: ProbedRoute): string {
  if (backend.tls === null) return "works, without channel binding (the backend leg is plaintext)";
  if (listener === null) {
    return "works, without channel binding (clients come in plaintext: it is taken out of the offer)";
  }
  if (backend.tls.serverCert?.toBase64() === listener.leafDer.toBase64()) {
    return isBindable(listener.leafDer)
      ? "works, with channel binding (both legs show the same certificate)"
      : `fails for a default psql inside libpq, which cannot bind to ${NO_HASH}; clients need channel_binding=disable`;
  }
  return "a default psql is refused (28000), because it binds its login to the listener's certificate and the backend " +
    'shows another; expected auth.mode = "scram", one certificate on both legs, or channel_binding=disable';
}

function bothBindings({ material: { listener }, backend }: ProbedRoute): string {
  const client = listener === null
    ? "clients unbound (they come in plaintext)"
    : isBindable(listener.leafDer)
    ? "clients bound to the listener's certificate"
    : `clients unbound (libpq cannot bind to ${NO_HASH})`;
  return `${client}, ${backendBinding(backend)}`;
}

function backendBinding({ tls }: Backend): string {
  if (tls === null) return "the backend login unbound (its leg is plaintext)";
  return tls.serverCert !== null && isBindable(tls.serverCert)
    ? "the backend login bound to the backend's certificate"
    : `the backend login unbound (PostgreSQL cannot bind to ${NO_HASH})`;
}

function isBindable(leaf: Uint8Array): boolean {
  return endPointHash(leaf) !== null;
}

function countUsers(users: Userlist | null): string {
  const count = users?.verifiers.size ?? 0;
  return count === 1 ? "1 user" : `${count} users`;
}

const NO_HASH = "a certificate signed with Ed25519";
