/** Why a connection ended, in words for whoever is asked "why can't X connect?", and what to do next. */

import type { CloseReason } from "../../errors.ts";

/**
 * Who ended it: `done` as it should; `ended` by pgtls on purpose; `refused` before the session began; `failed`
 * because something is broken.
 */
export type Tone = "done" | "ended" | "refused" | "failed";

/** One reason in words. */
export interface ReasonWords {
  readonly tone: Tone;
  /** A few words for a table. */
  readonly title: string;
  /** What happened: one sentence. */
  readonly meaning: string;
  /** What to do about it: sentences; `null` when nothing is wrong. */
  readonly next: string | null;
}

/** The words for a reason token; a token nobody wrote words for is shown as it is. */
export function describeReason(reason: string): ReasonWords {
  const words: ReasonWords | undefined = Object.hasOwn(WORDS, reason)
    ? WORDS[reason as CloseReason]
    : undefined;
  return words ?? {
    tone: "failed",
    title: reason,
    meaning: `The connection ended with the reason "${reason}".`,
    next: "Look for the connection's lines in the log.",
  };
}

const WORDS = {
  client_closed: {
    tone: "done",
    title: "Client left",
    meaning: "The client ended the session.",
    next: null,
  },
  backend_closed: {
    tone: "done",
    title: "Backend ended it",
    meaning: "PostgreSQL ended the session: its own login check said no, or an administrator terminated it.",
    next:
      "If the client reports an error, it is PostgreSQL's own: look in PostgreSQL's log, pg_hba.conf first.",
  },
  cancel_forwarded: {
    tone: "done",
    title: "Cancel request passed on",
    meaning: "The client asked to cancel a running query, and PostgreSQL was told.",
    next: null,
  },
  idle_timeout: {
    tone: "ended",
    title: "Idle for too long",
    meaning: "Nothing was sent either way for as long as idle_timeout allows.",
    next:
      "If such clients should stay, raise the route's idle_timeout, or let their pool send keepalive queries.",
  },
  server_draining: {
    tone: "ended",
    title: "pgtls is shutting down",
    meaning:
      "pgtls was told to stop and ended the session between two transactions, or refused to begin one.",
    next: "The client may connect again; with several replicas it reaches another one.",
  },
  startup_timeout: {
    tone: "refused",
    title: "Said too little in time",
    meaning: "The client connected but did not get as far as a StartupMessage within startup_timeout.",
    next: "Port scanners and TCP health checks do this; nothing is wrong then. " +
      "If a real client does, look at the network in between, or raise startup_timeout.",
  },
  protocol_violation: {
    tone: "refused",
    title: "Does not speak PostgreSQL",
    meaning: "What the client sent is not PostgreSQL's protocol, or breaks its rules.",
    next: "See that the client is a PostgreSQL client and this is the port it means. " +
      'Direct TLS (sslnegotiation=direct) needs ALPN "postgresql"; browsers and scanners send other things.',
  },
  tls_required: {
    tone: "refused",
    title: "Client did not use TLS",
    meaning: "The client tried to log in without TLS, and this route takes TLS only.",
    next: "On the client set sslmode=verify-full with sslrootcert (at the least sslmode=require).",
  },
  plaintext_cancel_refused: {
    tone: "refused",
    title: "Cancel request without TLS",
    meaning: "A cancel request came without TLS, and plaintext_cancel is false on this route.",
    next: "psql's Ctrl-C always sends it so. Use a client with encrypted cancel, or allow plaintext_cancel.",
  },
  handshake_failed: {
    tone: "refused",
    title: "TLS handshake failed",
    meaning: "Client and pgtls did not agree on a TLS connection.",
    next:
      "Most often the client does not trust the listener's certificate: compare its sslrootcert and host name " +
      "with the certificate on this page. Otherwise the TLS version: see min_tls_version.",
  },
  peer_rejected: {
    tone: "refused",
    title: "Client certificate refused",
    meaning: "The client presented no certificate, or one that this route does not accept.",
    next:
      "The detail says which check failed. Give the client a certificate in date that is issued by a CA of the " +
      "route's client_ca, for client authentication.",
  },
  unrecognized_name: {
    tone: "refused",
    title: "No route for that name",
    meaning:
      "Routes of this address are chosen by server name (SNI), and none answers to what the client sent.",
    next:
      "Connect by a name listed in server_names of one of the routes, or add a route without server_names. " +
      "libpq sends a name only when host is one: not with an IP address, not with sslsni=0.",
  },
  rule_denied: {
    tone: "refused",
    title: "No rule lets it in",
    meaning: "The client is who it says, but none of the route's [[proxy.allow]] rules matches it.",
    next:
      "Compare user, database, address and certificate name below with the rules; the detail tells what failed.",
  },
  app_rejected: {
    tone: "refused",
    title: "Refused by the app",
    meaning: "The route's own connection app looked at the client and said no.",
    next: "The detail is the app's own. Ask whoever wrote it.",
  },
  app_failed: {
    tone: "failed",
    title: "App did not decide",
    meaning:
      "The route's connection app threw, took too long, or ended without a decision; nobody gets in then.",
    next: "The app has to be mended: the detail and the log tell where it failed.",
  },
  channel_binding_conflict: {
    tone: "refused",
    title: "Channel binding cannot work",
    meaning: "The client bound its password to pgtls's certificate, and PostgreSQL would see another one.",
    next:
      'Use the same certificate on both legs, or auth mode "scram" on the route, or channel_binding=disable ' +
      "on the client.",
  },
  auth_failed: {
    tone: "refused",
    title: "Login failed",
    meaning: "The password was wrong, or the user is not in auth_file.",
    next: "The detail tells which. In auth_file the user's verifier must be the backend's own.",
  },
  auth_limited: {
    tone: "refused",
    title: "Too many wrong passwords",
    meaning:
      "So many wrong passwords came for this user, or from this address, that pgtls refuses for a while.",
    next: "Find who guesses, or which program has an old password: the connections before this one tell.",
  },
  auth_timeout: {
    tone: "refused",
    title: "Login too slow",
    meaning: "The client did not log in within authentication_timeout.",
    next: "A port scanner, or a client that waits for somebody to type: no session was interrupted.",
  },
  backend_login_failed: {
    tone: "failed",
    title: "Backend login failed",
    meaning: "The client may be right, but pgtls could not log in to PostgreSQL for it.",
    next:
      "The detail tells why: most often a password was changed, and auth_file must be copied from pg_authid " +
      "again; or pg_hba.conf asks for another method than SCRAM.",
  },
  limit_reached: {
    tone: "refused",
    title: "Too many connections",
    meaning: "The route already had as many connections as its max_connections allows.",
    next:
      "See who holds them under Connected. Raise max_connections (and PostgreSQL's), or make the pools smaller.",
  },
  backend_unreachable: {
    tone: "failed",
    title: "Backend not reached",
    meaning: "pgtls could not connect to PostgreSQL.",
    next:
      "See that PostgreSQL runs and listens at the backend's address, and that no firewall is in between: " +
      "pgtls check --probe tries it.",
  },
  backend_timeout: {
    tone: "failed",
    title: "Backend too slow",
    meaning: "PostgreSQL did not answer, or did not finish TLS, within connect_timeout.",
    next: "Look at the backend's load and at the network; a firewall that drops packets looks the same.",
  },
  backend_tls_refused: {
    tone: "failed",
    title: "Backend has no TLS",
    meaning: "PostgreSQL refuses TLS, and this route demands it.",
    next: "Turn on ssl in postgresql.conf. Only on a network nobody else can read: tls_enabled = false.",
  },
  backend_untrusted: {
    tone: "failed",
    title: "Backend not trusted",
    meaning: "The certificate PostgreSQL presented is not one that root_ca and the expected name accept.",
    next:
      "Somebody may be in the middle: do not just replace root_ca. Compare the backend's certificate with " +
      "pgtls inspect, then set root_ca or server_name to what it should be.",
  },
  backend_error: {
    tone: "failed",
    title: "Backend refused at once",
    meaning:
      "PostgreSQL answered with an error before the session began, for example because it is starting up or full.",
    next: "Read PostgreSQL's log; the client was given the backend's own message.",
  },
  client_lost: {
    tone: "failed",
    title: "Client lost",
    meaning: "The connection to the client broke without a goodbye.",
    next: "A killed program, a restarted host or a firewall that drops idle connections. " +
      "If it happens to many at once, look at the network.",
  },
  backend_lost: {
    tone: "failed",
    title: "Backend lost",
    meaning: "The connection to PostgreSQL broke during the session.",
    next: "Read PostgreSQL's log for a crash or restart; then look at the network between pgtls and it.",
  },
  worker_failed: {
    tone: "failed",
    title: "Worker failed",
    meaning: "The worker of pgtls that served the session ended or hung, and was replaced.",
    next: "Look for worker.failed in the log; a connection app that never ends is the usual cause.",
  },
  internal_error: {
    tone: "failed",
    title: "Error in pgtls",
    meaning: "Something went wrong that pgtls has no name for: a bug of pgtls.",
    next: "Please report it with the stack from the log line of this connection.",
  },
} as const satisfies Record<string, ReasonWords>;

/** Every close reason; the type makes sure that none is missing. */
export const REASONS: Readonly<Record<CloseReason, ReasonWords>> = WORDS;
