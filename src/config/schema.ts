/**
 * Every key of the configuration file: its type, default and meaning.
 *
 * The one source of the parser, of `config/pgtls.schema.json` and of what `docs/configuration.md` must list.
 * Rules between keys are in `rules.ts`. Nothing here reads a file.
 */

import { z } from "zod";
import {
  addressRanges,
  autoOr,
  backendAddress,
  bindAddress,
  choice,
  count,
  duration,
  fileName,
  flag,
  ipRanges,
  listenAddress,
  mtls,
  patterns,
  routeName,
  serverName,
  serverNames,
} from "./settings.ts";

/** Keys of `[proxy.listener]`. */
export const listenerKeys = {
  bind_address: listenAddress().describe(
    "Address to listen on: host:port, or the absolute path of a unix socket. Port 0 takes any free port.",
  ),
  tls_enabled: flag().default(true).describe(
    "false makes a plaintext listener: for clients that cannot do TLS. The keys about certificates must then be absent.",
  ),
  server_cert: fileName().optional().describe(
    "PEM file of the certificate shown to clients, leaf first. Required unless tls_enabled = false.",
  ),
  server_key: fileName().optional().describe(
    "PEM file of its private key, not encrypted: PKCS#8, PKCS#1 or SEC1; RSA from 2048 bits, ECDSA P-256, P-384 or P-521, Ed25519.",
  ),
  mtls: mtls().default(false).describe(
    'Client certificates: false = not asked for; true = required; "optional" = asked for and reported, not required.',
  ),
  client_ca: fileName().optional().describe(
    "PEM bundle of the CAs that client certificates must lead to. Required unless mtls = false.",
  ),
  client_crl: fileName().optional().describe(
    "PEM file of CRLs. A client certificate that is revoked, or that they cannot tell about, is refused.",
  ),
  server_names: serverNames().default([]).describe(
    "Server names (SNI) that choose this route, where several share an address; *.example.com stands for one label. [] = its default route.",
  ),
  min_tls_version: choice(["1.2", "1.3"]).default("1.2").describe("The lowest TLS version a client may use."),
  unsafe_allow_plaintext: flag().default(false).describe(
    "Also relay clients that do not ask for TLS, unencrypted. Not together with mtls = true.",
  ),
  plaintext_cancel: flag().default(true).describe(
    "Forward a CancelRequest that arrives outside TLS. Ctrl-C in psql before version 17 always does.",
  ),
  proxy_protocol_from: ipRanges().default([]).describe(
    "IP ranges (CIDR) of load balancers. They must begin each connection with a PROXY protocol header, version 1 or 2; from anybody else one is refused.",
  ),
  startup_timeout: duration("1h", { zero: false }).prefault("10s").describe(
    "Time a client has from connecting to a complete StartupMessage.",
  ),
  max_connections: count(0, 1_000_000).default(0).describe(
    "Connections this route carries at once; 0 = no limit. A CancelRequest still gets through.",
  ),
  idle_timeout: duration("168h", { zero: true }).prefault("0s").describe(
    "Close a connection that moves no bytes in either direction for this long; 0s = never.",
  ),
};

/** Keys of `[proxy.backend]`. */
export const backendKeys = {
  address: backendAddress().describe(
    "The PostgreSQL server: host:port, or the absolute path of a unix socket.",
  ),
  tls_enabled: flag().default(true).describe(
    "false talks to the backend in plaintext. The other keys about TLS must then be absent.",
  ),
  root_ca: fileName('the name of a file or "system"').optional().describe(
    'PEM bundle of the CAs the backend\'s certificate must lead to, or "system" for the public ones. Required unless tls_enabled = false.',
  ),
  tls_verify: choice(["full", "ca"]).default("full").describe(
    '"full" verifies chain and name, "ca" the chain alone. There is no way to verify nothing.',
  ),
  server_name: serverName().optional().describe(
    "The name sent as SNI and verified. Default: the host of address. Required for a unix socket with TLS.",
  ),
  negotiation: choice(["postgres", "direct"]).default("postgres").describe(
    '"postgres" asks for TLS with an SSLRequest; "direct" starts it at once (PostgreSQL 17 and later).',
  ),
  connect_timeout: duration("1h", { zero: false }).prefault("10s").describe(
    "Time for TCP, TLS and verification towards the backend together.",
  ),
  client_cert: fileName().optional().describe(
    "PEM file of the certificate pgtls shows to the backend, leaf first. Together with client_key.",
  ),
  client_key: fileName().optional().describe("PEM file of its private key. Together with client_cert."),
};

/** Keys of `[proxy.auth]`. */
export const authKeys = {
  mode: choice(["passthrough", "scram", "password"]).default("passthrough").describe(
    'How clients log in: "passthrough" leaves it to the backend; "scram" checks a SCRAM login against auth_file and logs in to the backend with it; "password" asks for the password inside TLS and logs in with that.',
  ),
  auth_file: fileName().optional().describe(
    'File of users and their SCRAM verifiers, in the format of PgBouncer\'s userlist.txt. Required with mode = "scram", and only there.',
  ),
  authentication_timeout: duration("1h", { zero: false }).prefault("60s").describe(
    'Time for a login with mode = "scram" or "password", from the StartupMessage to the backend\'s word that it may go on.',
  ),
};

/** Keys of `[[proxy]]` itself. */
export const routeKeys = {
  name: routeName().optional().describe(
    'Name of the route in logs and messages; unique. Default: "proxy[0]", "proxy[1]" and so on.',
  ),
  app: fileName().optional().describe(
    "TypeScript or JavaScript file of the connection app that decides who may connect.",
  ),
  app_timeout: duration("1h", { zero: false }).prefault("5s").describe(
    "Time the connection app has for a decision; then the client is refused.",
  ),
};

/** Keys of `[[proxy.allow]]`: all that are given must match. */
export const allowKeys = {
  client_cert_name: patterns().optional().describe(
    "Subject of the client's certificate (RFC 4514): a text, a /regex/, or a list of them.",
  ),
  client_cert_cn: patterns().optional().describe("Its common name, if it has exactly one."),
  client_cert_san: patterns().optional().describe(
    "One of its alternative names: DNS name, e-mail address, URI or IP address.",
  ),
  client_address: addressRanges().optional().describe(
    "Where the client comes from: an IP address, a range (CIDR), or a list.",
  ),
  users: patterns({ takesCapture: true }).optional().describe(
    "The PostgreSQL user it asks for; \\1 stands for what the first group of a certificate key's regex has matched.",
  ),
  databases: patterns().optional().describe("The database it asks for; never matches physical replication."),
};

/** Keys of `[admin]`. */
export const adminKeys = {
  bind_address: bindAddress().describe(
    "Address of the admin server: host:port. Without TLS only a loopback address; any other needs mtls = true.",
  ),
  server_cert: fileName().optional().describe(
    "PEM file of the certificate shown to clients, leaf first; present = https.",
  ),
  server_key: fileName().optional().describe("PEM file of its private key. Together with server_cert."),
  mtls: mtls().default(false).describe("Client certificates, as for a listener."),
  client_ca: fileName().optional().describe(
    "PEM bundle of the CAs that client certificates must lead to. Required unless mtls = false.",
  ),
};

/** Keys of the file's top level. */
export const topLevelKeys = {
  log_level: choice(["trace", "debug", "info", "warn", "error"]).default("info").describe(
    "The least important lines to log.",
  ),
  log_format: choice(["auto", "text", "json"]).default("auto").describe(
    "auto is text on a terminal, else json.",
  ),
  workers: autoOr(1, 64).default("auto").describe(
    "Threads: auto = one per CPU, at most 8; 1 = everything in one.",
  ),
  drain_timeout: duration("24h", { zero: true }).prefault("30s").describe(
    "Time open connections have to end after SIGTERM or SIGINT.",
  ),
};

/** The whole file. */
export const configSchema = z.strictObject({
  ...topLevelKeys,
  admin: z.strictObject(adminKeys).optional().describe("The admin server; absent = none."),
  proxy: z.array(
    z.strictObject({
      ...routeKeys,
      listener: z.strictObject(listenerKeys).describe("Towards clients."),
      backend: z.strictObject(backendKeys).describe("Towards the PostgreSQL server."),
      auth: z.strictObject(authKeys).prefault({}).describe("Logins. Without this table they pass through."),
      allow: z.array(z.strictObject(allowKeys)).min(1).optional().describe(
        "Rules, one of which a client must match before the backend is dialled; absent = no rule.",
      ),
    }),
  ).min(1).describe("Routes: each a listener and the backend behind it."),
});

/** The file once read: defaults filled in, durations in milliseconds, addresses taken apart. */
export type ConfigFile = z.output<typeof configSchema>;
