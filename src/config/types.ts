/** The parsed configuration: frozen, complete, every default filled in. Durations in milliseconds. */

/** A TCP address, or the path of a unix socket. */
export type Address =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** A host and a port. The host is a DNS name in lower case, or an IP address in its shortest form. */
export type TcpAddress = Address & { readonly kind: "tcp" };

/** `false`: no certificate asked for; `true`: required; `"optional"`: asked for, reported, not required. */
export type Mtls = boolean | "optional";

/** `listener.min_tls_version`. */
export type TlsVersion = "1.2" | "1.3";

/** `[proxy.listener]`. File paths are absolute. */
export interface ListenerConfig {
  readonly bindAddress: Address;
  readonly tlsEnabled: boolean;
  /** Absolute path; `null` if and only if `tlsEnabled` is false. */
  readonly serverCert: string | null;
  readonly serverKey: string | null;
  readonly mtls: Mtls;
  /** Absolute path; `null` if and only if `mtls` is false. */
  readonly clientCa: string | null;
  readonly clientCrl: string | null;
  /** Server names that choose this route, in lower case, some with `*` as first label; `[]` = the address's default. */
  readonly serverNames: readonly string[];
  readonly minTlsVersion: TlsVersion;
  readonly unsafeAllowPlaintext: boolean;
  readonly plaintextCancel: boolean;
  /** IP ranges in CIDR notation: load balancers that send a PROXY protocol header. */
  readonly proxyProtocolFrom: readonly string[];
  readonly startupTimeoutMs: number;
  /** 0 = no limit. */
  readonly maxConnections: number;
  /** 0 = never. */
  readonly idleTimeoutMs: number;
}

/** `[proxy.backend]`. File paths are absolute. */
export interface BackendConfig {
  readonly address: Address;
  readonly tlsEnabled: boolean;
  /** Absolute path, or `"system"`; `null` if and only if `tlsEnabled` is false. */
  readonly rootCa: string | null;
  readonly tlsVerify: "full" | "ca";
  /** The name sent as SNI and verified; default the host of `address`. `null` if and only if `tlsEnabled` is false. */
  readonly serverName: string | null;
  readonly negotiation: "postgres" | "direct";
  readonly connectTimeoutMs: number;
  readonly clientCert: string | null;
  readonly clientKey: string | null;
}

/** `[proxy.auth]`. */
export interface AuthConfig {
  readonly mode: "passthrough" | "scram" | "password";
  /** Absolute path; `null` unless `mode` is `"scram"`. */
  readonly authFile: string | null;
  readonly authenticationTimeoutMs: number;
}

/**
 * A text that must be equal, or the source of a regex that must match from end to end (ECMAScript, flag `u`). Between
 * its parts stands what another key of the rule has captured, `\1`; most have one part.
 */
export interface Pattern {
  readonly kind: "text" | "regex";
  readonly parts: readonly string[];
  /** How many groups of a regex capture. */
  readonly groups: number;
}

/** One `[[proxy.allow]]`: `null` where the rule says nothing; of a list, one entry is enough. */
export interface AllowRule {
  /** RFC 4514 of the subject. */
  readonly clientCertName: readonly Pattern[] | null;
  readonly clientCertCn: readonly Pattern[] | null;
  readonly clientCertSan: readonly Pattern[] | null;
  /** IP ranges in CIDR notation. */
  readonly clientAddress: readonly string[] | null;
  readonly users: readonly Pattern[] | null;
  readonly databases: readonly Pattern[] | null;
}

/** One `[[proxy]]`. */
export interface RouteConfig {
  readonly name: string;
  /** Position in the file, from 0; `proxy[index]` in messages. */
  readonly index: number;
  /** Absolute path of the connection app; `null` = none. */
  readonly app: string | null;
  readonly appTimeoutMs: number;
  /** `[]` = no rule. */
  readonly allow: readonly AllowRule[];
  readonly listener: ListenerConfig;
  readonly backend: BackendConfig;
  readonly auth: AuthConfig;
}

/** `[admin]`: as a listener, plus nothing. */
export interface AdminConfig {
  readonly bindAddress: TcpAddress;
  readonly serverCert: string | null;
  readonly serverKey: string | null;
  readonly mtls: Mtls;
  readonly clientCa: string | null;
}

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

/** The whole file. */
export interface Config {
  /** Absolute path of the file it came from. */
  readonly file: string;
  readonly logLevel: LogLevel;
  readonly logFormat: "auto" | "text" | "json";
  readonly workers: "auto" | number;
  readonly drainTimeoutMs: number;
  readonly admin: AdminConfig | null;
  readonly routes: readonly RouteConfig[];
}

/** The files a listener, or the admin server, names. Paths are absolute; `null` where none is named. */
export type ListenerFiles = Pick<
  ListenerConfig,
  "serverCert" | "serverKey" | "mtls" | "clientCa" | "clientCrl"
>;

/** The files a backend names. */
export type BackendFiles = Pick<BackendConfig, "rootCa" | "clientCert" | "clientKey">;

/** The file `[proxy.auth]` names. */
export type AuthFiles = Pick<AuthConfig, "authFile">;

/** The files of one table of a configuration, which as a whole may be wrong. */
export type TableFiles =
  & { readonly place: { readonly path: string; readonly route?: string } }
  & (
    | { readonly listener: ListenerFiles }
    | { readonly backend: BackendFiles }
    | { readonly auth: AuthFiles }
    | { readonly app: string }
  );
