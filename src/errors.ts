/**
 * What can go wrong, by who is to blame, and the one table from error to close reason.
 *
 * Every class says whose fault it is: the operator ({@linkcode ConfigError}), the client
 * ({@linkcode ProtocolError}), either peer's certificate ({@linkcode PeerRejectedError}), or a stage's own
 * refusal ({@linkcode StageError}: limits, deadlines, a backend out of reach). Anything else is our bug.
 */

/** Why a connection ended: one stable token per connection, used by log, metrics and admin alike. */
export type CloseReason =
  | "client_closed"
  | "backend_closed"
  | "cancel_forwarded"
  | "idle_timeout"
  | "startup_timeout"
  | "backend_timeout"
  | "protocol_violation"
  | "tls_required"
  | "plaintext_cancel_refused"
  | "handshake_failed"
  | "unrecognized_name"
  | "peer_rejected"
  | "rule_denied"
  | "app_rejected"
  | "app_failed"
  | "backend_unreachable"
  | "backend_tls_refused"
  | "backend_untrusted"
  | "backend_error"
  | "channel_binding_conflict"
  | "auth_failed"
  | "auth_limited"
  | "auth_timeout"
  | "backend_login_failed"
  | "client_lost"
  | "backend_lost"
  | "limit_reached"
  | "server_draining"
  | "worker_failed"
  | "internal_error";

/** One thing that is wrong with the configuration. */
export interface Problem {
  /** Where, as `proxy[0].listener.client_ca`; `""` for the file as a whole. */
  readonly path: string;
  /** The name of the route it belongs to, where there is one. */
  readonly route?: string;
  /** Action, object, state, and what was expected; sentence case, no final period. */
  readonly message: string;
  /** A warning that something runs out soon; absent = anything else. */
  readonly kind?: "expiring";
}

/** The operator's configuration cannot be used. Carries every problem found, in file order. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[];

  constructor(file: string, problems: readonly Problem[], options?: ErrorOptions) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super([`Cannot use config "${file}": ${count}`, ...problems.map(formatProblem)].join("\n"), options);
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** One line per problem: path, route, message. */
export function formatProblem(problem: Problem): string {
  const route = problem.route === undefined ? "" : ` (route "${problem.route}")`;
  const where = `${problem.path}${route}`;
  return `  ${where === "" ? "" : `${where}: `}${problem.message}`;
}

/** The peer broke the PostgreSQL grammar. */
export class ProtocolError extends Error {
  /** SQLSTATE for the ErrorResponse, where the peer could still read one. */
  readonly sqlstate: string;

  constructor(message: string, sqlstate = "08P01") {
    super(message);
    this.name = "ProtocolError";
    this.sqlstate = sqlstate;
  }
}

/**
 * A stage ended the connection for a reason of its own; the reason names it.
 * `message` is for the operator's log: what a client is told stands in {@linkcode describeFailure}.
 */
export class StageError extends Error {
  readonly reason: CloseReason;
  /**
   * What the client is told instead of the table's text: the words of an app, of a backend before TLS, and what is
   * worded by when it happens (drain).
   */
  readonly answer: ErrorAnswer | undefined;
  /** What a client is told that is about to begin TLS and can read nothing else. */
  readonly alert: TlsAlert | undefined;

  constructor(
    reason: CloseReason,
    message: string,
    options?: ErrorOptions & { answer?: ErrorAnswer; alert?: TlsAlert },
  ) {
    super(message, options);
    this.name = "StageError";
    this.reason = reason;
    this.answer = options?.answer;
    this.alert = options?.alert;
  }
}

/** Why TLS is not begun, in the words of RFC 8446, section 6. */
export type TlsAlert = "decode_error" | "unrecognized_name";

/** What an ErrorResponse says. */
export interface ErrorAnswer {
  readonly sqlstate: string;
  readonly message: string;
  readonly detail?: string;
  readonly hint?: string;
}

/** Why a certificate chain was not accepted. Stable tokens: log field and test vocabulary. */
export type RejectionCode =
  | "no_certificate"
  | "malformed_certificate"
  | "unsupported_version"
  | "not_yet_valid"
  | "expired"
  | "unknown_issuer"
  | "bad_signature"
  | "weak_signature_algorithm"
  | "unsupported_algorithm"
  | "weak_key"
  | "not_a_ca"
  | "ca_as_leaf"
  | "path_length_exceeded"
  | "key_usage"
  | "extended_key_usage"
  | "name_constraint"
  | "unknown_critical_extension"
  | "name_mismatch"
  | "revoked"
  | "revocation_unknown"
  | "too_complex";

/** The peer's certificate chain was refused. `code` is for machines, `message` for the operator's log. */
export class PeerRejectedError extends Error {
  readonly code: RejectionCode;

  constructor(code: RejectionCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "PeerRejectedError";
    this.code = code;
  }
}

/** How a connection ended, for the closing line and for the client. */
export interface Failure {
  readonly reason: CloseReason;
  /** The ErrorResponse for the client; `null` where it would not be PostgreSQL's to read, or there is nothing to say. */
  readonly answer: ErrorAnswer | null;
  /** The alert for a client that waits for a ServerHello; excludes `answer`. */
  readonly alert?: TlsAlert;
  /** For the log: why. The client learns that, the log learns why. */
  readonly detail: string;
}

/**
 * The one table from error to close reason and ErrorResponse.
 * An error that no class above explains is our bug: `internal_error`, and the client is told no more than that.
 */
export function describeFailure(error: unknown): Failure {
  if (error instanceof ProtocolError) {
    const answer = { sqlstate: error.sqlstate, message: error.message };
    return { reason: "protocol_violation", answer, detail: error.message };
  }
  if (error instanceof PeerRejectedError) {
    const answer = error.code === "no_certificate" ? CERTIFICATE_REQUIRED : CERTIFICATE_REFUSED;
    return { reason: "peer_rejected", answer, detail: error.message };
  }
  if (error instanceof StageError) {
    if (error.alert !== undefined) {
      return { reason: error.reason, answer: null, alert: error.alert, detail: error.message };
    }
    return {
      reason: error.reason,
      answer: error.answer ?? ANSWERS[error.reason] ?? null,
      detail: error.message,
    };
  }
  const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { reason: "internal_error", answer: INTERNAL, detail };
}

const CERTIFICATE_REQUIRED: ErrorAnswer = {
  sqlstate: "28000",
  message: "client certificate required",
  hint: "Set sslcert and sslkey to a certificate that this server's administrator accepts.",
};

const CERTIFICATE_REFUSED: ErrorAnswer = { sqlstate: "28000", message: "client certificate refused" };

const INTERNAL: ErrorAnswer = { sqlstate: "XX000", message: "internal error in pgtls" };

// SQLSTATE classes: https://www.postgresql.org/docs/current/errcodes-appendix.html
const ANSWERS: Partial<Record<CloseReason, ErrorAnswer>> = {
  tls_required: {
    sqlstate: "28000",
    message: "TLS is required",
    hint: "Connect with sslmode=require or, better, sslmode=verify-full.",
  },
  // Never why: rules and policies are the operator's.
  rule_denied: { sqlstate: "28000", message: "connection is not permitted by the rules of this route" },
  app_rejected: { sqlstate: "28000", message: "connection refused by policy" },
  app_failed: { sqlstate: "28000", message: "connection could not be authorized" },
  channel_binding_conflict: {
    sqlstate: "28000",
    message: "SCRAM channel binding cannot work here: the server behind pgtls shows another certificate",
    hint: 'Set auth.mode = "scram" in pgtls, or use one certificate on both of its legs, ' +
      "or connect with channel_binding=disable.",
  },
  auth_timeout: { sqlstate: "57014", message: "canceling authentication due to timeout" },
  backend_login_failed: { sqlstate: "28000", message: "pgtls cannot log in to the backend" },
  limit_reached: { sqlstate: "53300", message: "too many connections for this route" },
  server_draining: { sqlstate: "57P01", message: "terminating connection because pgtls is shutting down" },
  idle_timeout: { sqlstate: "57P05", message: "terminating connection due to idle timeout" },
  backend_unreachable: { sqlstate: "08001", message: "backend cannot be reached" },
  backend_timeout: { sqlstate: "08001", message: "backend did not answer in time" },
  backend_tls_refused: { sqlstate: "08001", message: "backend cannot be reached over TLS" },
  backend_untrusted: { sqlstate: "08001", message: "backend is not trusted" },
  backend_lost: { sqlstate: "08006", message: "connection to the backend was lost" },
};
