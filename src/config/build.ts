/** From the file as read to the {@linkcode Config} everything else uses: absolute paths, defaults that depend on other keys. */

import { dirname, resolve } from "node:path";
import { defaultServerName } from "./address.ts";
import type { ConfigFile } from "./schema.ts";
import type {
  AdminConfig,
  AllowRule,
  AuthConfig,
  AuthFiles,
  BackendConfig,
  BackendFiles,
  Config,
  ListenerConfig,
  ListenerFiles,
  RouteConfig,
} from "./types.ts";

type RouteTable = ConfigFile["proxy"][number];

/** Builds the frozen configuration. File names become absolute against the folder of `file`, an absolute path. */
export function buildConfig(parsed: ConfigFile, file: string): Config {
  const folder = dirname(file);
  return freeze({
    file,
    logLevel: parsed.log_level,
    logFormat: parsed.log_format,
    workers: parsed.workers,
    drainTimeoutMs: parsed.drain_timeout,
    admin: parsed.admin === undefined ? null : buildAdmin(parsed.admin, folder),
    routes: parsed.proxy.map((route, index) => buildRoute(route, { index, folder })),
  });
}

/** The name of a route that has none. */
export function defaultRouteName(index: number): string {
  return `proxy[${index}]`;
}

function buildRoute(table: RouteTable, { index, folder }: { index: number; folder: string }): RouteConfig {
  return {
    name: table.name ?? defaultRouteName(index),
    index,
    app: absolute(table.app, folder),
    appTimeoutMs: table.app_timeout,
    allow: (table.allow ?? []).map(buildRule),
    listener: buildListener(table.listener, folder),
    backend: buildBackend(table.backend, folder),
    auth: buildAuth(table.auth, folder),
  };
}

function buildRule(table: NonNullable<RouteTable["allow"]>[number]): AllowRule {
  return {
    clientCertName: table.client_cert_name ?? null,
    clientCertCn: table.client_cert_cn ?? null,
    clientCertSan: table.client_cert_san ?? null,
    clientAddress: table.client_address ?? null,
    users: table.users ?? null,
    databases: table.databases ?? null,
  };
}

function buildListener(table: RouteTable["listener"], folder: string): ListenerConfig {
  return {
    bindAddress: table.bind_address,
    tlsEnabled: table.tls_enabled,
    ...listenerFiles(table, folder),
    serverNames: table.server_names,
    minTlsVersion: table.min_tls_version,
    unsafeAllowPlaintext: table.unsafe_allow_plaintext,
    plaintextCancel: table.plaintext_cancel,
    proxyProtocolFrom: table.proxy_protocol_from,
    startupTimeoutMs: table.startup_timeout,
    maxConnections: table.max_connections,
    idleTimeoutMs: table.idle_timeout,
  };
}

function buildBackend(table: RouteTable["backend"], folder: string): BackendConfig {
  const { address, tls_enabled: tlsEnabled } = table;
  return {
    address,
    tlsEnabled,
    ...backendFiles(table, folder),
    tlsVerify: table.tls_verify,
    serverName: tlsEnabled ? table.server_name ?? defaultServerName(address) : null,
    negotiation: table.negotiation,
    connectTimeoutMs: table.connect_timeout,
  };
}

function buildAuth(table: RouteTable["auth"], folder: string): AuthConfig {
  return {
    mode: table.mode,
    ...authFiles(table, folder),
    authenticationTimeoutMs: table.authentication_timeout,
  };
}

function buildAdmin(table: NonNullable<ConfigFile["admin"]>, folder: string): AdminConfig {
  return {
    bindAddress: table.bind_address,
    serverCert: absolute(table.server_cert, folder),
    serverKey: absolute(table.server_key, folder),
    mtls: table.mtls,
    clientCa: absolute(table.client_ca, folder),
  };
}

/** The files a listener's table names, as far as it could be read. */
export function listenerFiles(table: Partial<RouteTable["listener"]>, folder: string): ListenerFiles {
  return {
    serverCert: absolute(table.server_cert, folder),
    serverKey: absolute(table.server_key, folder),
    mtls: table.mtls ?? false,
    clientCa: absolute(table.client_ca, folder),
    clientCrl: absolute(table.client_crl, folder),
  };
}

/** The files a backend's table names, as far as it could be read. */
export function backendFiles(table: Partial<RouteTable["backend"]>, folder: string): BackendFiles {
  return {
    rootCa: table.root_ca === "system" ? "system" : absolute(table.root_ca, folder),
    clientCert: absolute(table.client_cert, folder),
    clientKey: absolute(table.client_key, folder),
  };
}

/** The file a table of logins names, as far as it could be read. */
export function authFiles(table: Partial<RouteTable["auth"]>, folder: string): AuthFiles {
  return { authFile: absolute(table.auth_file, folder) };
}

function absolute(path: string | undefined, folder: string): string | null {
  return path === undefined ? null : resolve(folder, path);
}

function freeze<Value extends object>(value: Value): Value {
  for (const part of Object.values(value)) {
    if (typeof part === "object" && part !== null) freeze(part);
  }
  return Object.freeze(value);
}
