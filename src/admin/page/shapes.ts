/** What the admin server says, as the page reads it: the JSON of its endpoints and of its event feed. */

import type { CloseReason, RejectionCode } from "../../errors.ts";

/** The TLS of one leg: a TLS record with PEM, or its short form with fingerprints. */
export interface TlsJson {
  readonly tls_version: number | null;
  readonly cipher_suite: number | null;
  readonly client_cert_name: string | null;
  readonly client_cert_error: string | null;
  readonly alpn?: string | null;
  readonly server_name?: string | null;
  readonly resumed?: boolean;
  readonly server_cert_sha256?: string | null;
  readonly client_cert_sha256?: string | null;
}

/** One connection of `/connections`. Times are ISO 8601. */
export interface ConnectionJson {
  readonly connection: string;
  readonly route: string | null;
  readonly client: string;
  readonly state: string;
  readonly user: string | null;
  readonly database: string | null;
  readonly application_name: string | null;
  readonly backend: string | null;
  readonly opened_at: string;
  readonly closed_at?: string | null;
  readonly duration_ms: number;
  readonly bytes_from_client: number;
  readonly bytes_from_backend: number;
  readonly reason?: CloseReason | null;
  readonly detail?: string | null;
  readonly rejection?: RejectionCode | null;
  /** Left out where they were not asked for. */
  readonly client_tls?: TlsJson | null;
  readonly backend_tls?: TlsJson | null;
}

/** `/connections`, newest first; the counts are of all there are, not of those listed. */
export interface ConnectionsJson {
  readonly open_count: number;
  readonly closed_count: number;
  readonly open: readonly ConnectionJson[];
  readonly closed: readonly ConnectionJson[];
}

/** One certificate of `/certificates`. Times are ISO 8601; `null` where the certificate's cannot be read. */
export interface CertificateJson {
  readonly subject: string;
  readonly sans: readonly string[];
  readonly issuer: string;
  readonly not_before: string | null;
  readonly not_after: string | null;
  readonly sha256: string;
  readonly used: readonly CertificateUse[];
}

/** Where a certificate is used, or was last seen. */
export interface CertificateUse {
  readonly route: string | null;
  readonly use: string;
  readonly file: string | null;
  readonly last_seen: string | null;
}

/** `/readyz`, with either status. */
export interface ReadinessJson {
  readonly ready: boolean;
  readonly reasons: readonly {
    readonly route: string | null;
    readonly what: string;
    readonly detail: string;
  }[];
  readonly generation?: number;
  readonly last_reload?: {
    readonly ok: boolean;
    readonly at: string;
    readonly problems: readonly unknown[];
  } | null;
}

/** One message of `/events`: the fields of a line of the JSON log. */
export interface EventJson {
  readonly time: string;
  readonly level: string;
  readonly event: string;
  readonly connection?: string;
  readonly route?: string | null;
  readonly client?: string;
  readonly [field: string]: unknown;
}
