/** Rules between keys of one table. A rule is skipped while a key it depends on is itself wrong. */

import { isLoopback } from "./address.ts";
import type { TableReading } from "./read_table.ts";
import type { adminKeys, authKeys, backendKeys, listenerKeys, routeKeys } from "./schema.ts";

type Listener = TableReading<typeof listenerKeys>;
type Backend = TableReading<typeof backendKeys>;
type Auth = TableReading<typeof authKeys>;
type Admin = TableReading<typeof adminKeys>;
type Route = TableReading<typeof routeKeys>;

/** Reports what the keys of `[[proxy]]` itself say against one another. */
export function checkRoute(route: Route): void {
  if (route.has("app_timeout") && !route.has("app")) {
    route.report("app_timeout", "Cannot use without an app: expected app, or this key to be absent");
  }
}

/** Reports what the keys of `[proxy.listener]` say against one another. */
export function checkListener(listener: Listener): void {
  const { bind_address, tls_enabled, mtls, unsafe_allow_plaintext, server_names, proxy_protocol_from } =
    listener.values;
  if (bind_address?.kind === "unix" && (proxy_protocol_from?.length ?? 0) > 0) {
    listener.report(
      "proxy_protocol_from",
      "Cannot combine with a unix socket: its clients have no address, expected a TCP bind_address",
    );
  }
  if (tls_enabled === undefined) return;
  if (!tls_enabled) return refuseWithoutTls(listener, LISTENER_TLS_KEYS);
  for (const key of ["server_cert", "server_key"] as const) {
    if (!listener.has(key)) {
      listener.report(key, `${MISSING}, expected the name of a PEM file, or tls_enabled = false`);
    }
  }
  checkClientCa(listener);
  if (mtls === true && unsafe_allow_plaintext === true) {
    listener.report(
      "unsafe_allow_plaintext",
      "Cannot combine with mtls = true: a plaintext client shows no certificate, expected mtls = false or unsafe_allow_plaintext = false",
    );
  }
  if (unsafe_allow_plaintext === true && (server_names?.length ?? 0) > 0) {
    listener.report(
      "unsafe_allow_plaintext",
      "Cannot combine with server_names: a plaintext client names no server, expected one of the two keys",
    );
  }
  if (mtls === false && listener.has("client_crl")) listener.report("client_crl", withoutMtls());
}

/** Reports what the keys of `[proxy.backend]` say against one another. */
export function checkBackend(backend: Backend): void {
  const { address, tls_enabled, root_ca, tls_verify } = backend.values;
  if (tls_enabled === undefined) return;
  if (!tls_enabled) return refuseWithoutTls(backend, BACKEND_TLS_KEYS);
  if (!backend.has("root_ca")) {
    backend.report(
      "root_ca",
      `${MISSING}, expected the name of a PEM file, "system", or tls_enabled = false`,
    );
  }
  if (root_ca === "system" && tls_verify === "ca") {
    backend.report(
      "tls_verify",
      'Cannot combine "ca" with root_ca = "system": anybody can get a public certificate, expected "full"',
    );
  }
  checkPair(backend, "client_cert", "client_key");
  if (address?.kind === "unix" && !backend.has("server_name")) {
    backend.report(
      "server_name",
      `${MISSING}, and a unix socket has no name to verify, expected the name in the backend's certificate`,
    );
  }
}

/** Reports what the keys of `[proxy.auth]` say against one another, and against the route's listener. */
export function checkAuth(auth: Auth, listener: Listener | null): void {
  const { mode } = auth.values;
  if (mode === "scram" && !auth.has("auth_file")) {
    auth.report(
      "auth_file",
      `${MISSING} with mode = "scram", expected the name of a file of users and verifiers`,
    );
  }
  if (mode !== "scram" && mode !== undefined && auth.has("auth_file")) {
    auth.report(
      "auth_file",
      `Cannot use with mode = "${mode}": expected mode = "scram", or this key to be absent`,
    );
  }
  if (mode !== "password" || listener === null) return;
  const { tls_enabled, unsafe_allow_plaintext } = listener.values;
  if (tls_enabled === false || unsafe_allow_plaintext === true) {
    const why = tls_enabled === false ? "tls_enabled = false" : "unsafe_allow_plaintext = true";
    auth.report(
      "mode",
      `Cannot ask for passwords with listener.${why}: they would cross the network in clear, expected mode = "scram", or TLS for every client`,
    );
  }
}

/** Reports what the keys of `[admin]` say against one another. */
export function checkAdmin(admin: Admin): void {
  const { bind_address, mtls } = admin.values;
  checkPair(admin, "server_cert", "server_key");
  checkClientCa(admin);
  const hasTls = admin.has("server_cert") || admin.has("server_key");
  if (!hasTls && (mtls === true || mtls === "optional")) {
    admin.report(
      "mtls",
      "Cannot ask for client certificates without TLS: server_cert and server_key are missing",
    );
  }
  if (bind_address === undefined || isLoopback(bind_address.host)) return;
  if (!hasTls || (mtls !== true && mtls !== undefined)) {
    admin.report(
      "bind_address",
      "Cannot open the admin server to the network without client certificates: " +
        "expected a loopback address, or server_cert, server_key, client_ca and mtls = true",
    );
  }
}

function checkClientCa(table: Listener | Admin): void {
  const { mtls } = table.values;
  if (mtls === undefined) return;
  if (mtls === false && table.has("client_ca")) table.report("client_ca", withoutMtls());
  if (mtls !== false && !table.has("client_ca")) {
    table.report(
      "client_ca",
      `${MISSING} while mtls = ${JSON.stringify(mtls)}, expected the name of a PEM file`,
    );
  }
}

function checkPair<Key extends string>(
  table: { has(key: Key): boolean; report(key: Key, message: string): void },
  one: Key,
  other: Key,
): void {
  if (table.has(one) === table.has(other)) return;
  const [given, missing] = table.has(one) ? [one, other] : [other, one];
  table.report(missing, `${MISSING}, and ${given} is there, expected both or neither`);
}

function refuseWithoutTls<Key extends string>(
  table: { has(key: Key): boolean; report(key: Key, message: string): void },
  keys: readonly Key[],
): void {
  for (const key of keys) {
    if (table.has(key)) {
      table.report(key, "Cannot combine with tls_enabled = false: expected this key to be absent");
    }
  }
}

function withoutMtls(): string {
  return 'Cannot use without client certificates: mtls is false, expected mtls = true or "optional", or this key to be absent';
}

const MISSING = "Cannot go without this key: it is missing";

const LISTENER_TLS_KEYS = [
  "server_cert",
  "server_key",
  "mtls",
  "client_ca",
  "client_crl",
  "server_names",
  "min_tls_version",
  "unsafe_allow_plaintext",
] as const;

const BACKEND_TLS_KEYS = [
  "root_ca",
  "client_cert",
  "client_key",
  "tls_verify",
  "server_name",
  "negotiation",
] as const;
