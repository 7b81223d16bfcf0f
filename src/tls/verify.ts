/**
 * The only lock: who the peer of a TLS connection is.
 *
 * This file alone makes {@linkcode VerifiedPeer} and {@linkcode AnonymousClient}; the stages after the handshake
 * demand one. It is asked on every connection, resumed ones included: the runtime resumes sessions across routes
 * and then checks the client certificate against another route's CAs, or not at all.
 *
 * What it relies on the handshake for: that the peer holds the private key of the first presented certificate.
 * The runtime skips that proof for certificates it cannot parse, so none of those is accepted here.
 */

import { createHash } from "node:crypto";

import { PeerRejectedError, StageError } from "../errors.ts";
import { type Acceptance, AcceptanceCache } from "./path/cache.ts";
import { describeName, escapeText } from "./path/describe.ts";
import type { Purpose } from "./path/fitness.ts";
import { rejection } from "./path/rejection.ts";
import { findPath, type ValidPath } from "./path/search.ts";
import { describeNames, isNamed, parseReferenceName } from "./path/server_name.ts";
import type { TrustStore } from "./trust_store.ts";

/** Given to nobody: whoever has it may make identities. */
const MAKER = Symbol("maker");
let makeVerified: (chain: readonly Uint8Array[], acceptance: Acceptance) => VerifiedPeer;
let makeAnonymous: (why: AnonymousClient["why"], details?: AnonymousDetails) => AnonymousClient;

interface AnonymousDetails {
  readonly error?: PeerRejectedError;
  readonly chain?: readonly Uint8Array[];
}

/** A peer whose certificate chain was accepted, for the purpose and under the policy it was asked about. */
export class VerifiedPeer {
  readonly kind = "verified";
  /** DER as presented, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** The earliest notAfter of the path, trust anchor included; milliseconds since 1970. */
  readonly notAfter: number;
  /** Subject of the listed certificate that vouches for it; text for logs, escaped. */
  readonly trustedBy: string;
  readonly #isMade = true;

  static {
    makeVerified = (chain, acceptance) => new VerifiedPeer(MAKER, chain, acceptance);
  }

  private constructor(maker: symbol, chain: readonly Uint8Array[], acceptance: Acceptance) {
    if (maker !== MAKER) {
      throw new TypeError("Cannot make a VerifiedPeer: expected verifyClient or verifyBackend");
    }
    this.chain = Object.freeze([...chain]);
    this.notAfter = acceptance.notAfter;
    this.trustedBy = acceptance.trustedBy;
    Object.freeze(this);
  }

  /** Whether `value` was made here, whatever its type claims. */
  static is(value: unknown): value is VerifiedPeer {
    return typeof value === "object" && value !== null && #isMade in value && value.#isMade;
  }
}

/** A client without an accepted certificate, on a listener that lets such clients in; `why` says which kind. */
export class AnonymousClient {
  readonly kind = "anonymous";
  readonly why:
    | "client_certificate_not_requested"
    | "no_client_certificate"
    | "client_certificate_refused"
    | "listener_without_tls";
  /** Why the certificate was refused; `null` for the other kinds. */
  readonly error: PeerRejectedError | null;
  /** DER as presented, leaf first; empty unless the certificate was refused. */
  readonly chain: readonly Uint8Array[];
  readonly #isMade = true;

  static {
    makeAnonymous = (why, details) => new AnonymousClient(MAKER, why, details);
  }

  private constructor(maker: symbol, why: AnonymousClient["why"], details: AnonymousDetails = {}) {
    if (maker !== MAKER) {
      throw new TypeError("Cannot make an AnonymousClient: expected verifyClient or plaintextClient");
    }
    this.why = why;
    this.error = details.error ?? null;
    this.chain = Object.freeze([...details.chain ?? []]);
    Object.freeze(this);
  }

  /** Whether `value` was made here, whatever its type claims. */
  static is(value: unknown): value is AnonymousClient {
    return typeof value === "object" && value !== null && #isMade in value && value.#isMade;
  }
}

/** Who the client is, as far as its certificate goes. */
export type ClientIdentity = VerifiedPeer | AnonymousClient;

/** What a listener demands of its clients. */
export interface ClientPolicy {
  /** `false`: no certificate is asked for; `"optional"`: asked for, and a refused one counts as none. */
  readonly mtls: boolean | "optional";
  /** `null` only where `mtls` is false. */
  readonly trust: TrustStore | null;
}

/** What a route demands of its backend. There is no "none". */
export interface BackendPolicy {
  readonly trust: TrustStore;
  /** `"full"`: chain and name; `"ca"`: chain only. */
  readonly tlsVerify: "full" | "ca";
  /** DNS name or IP literal. */
  readonly serverName: string;
}

/** For tests and resumed clocks. */
export interface VerifyOptions {
  /** Milliseconds since 1970. @default {Date.now()} */
  readonly now?: number;
}

/**
 * Decides who a client is.
 *
 * @param presented The certificates of the TLS session, DER, leaf first; empty when it sent none.
 * @throws {PeerRejectedError} If `mtls` is true and there is no certificate or it is refused.
 */
export function verifyClient(
  presented: readonly Uint8Array[],
  policy: ClientPolicy,
  options: VerifyOptions = {},
): ClientIdentity {
  if (policy.mtls === false) return makeAnonymous("client_certificate_not_requested");
  if (presented.length === 0 && policy.mtls === "optional") return makeAnonymous("no_client_certificate");
  try {
    return verifyPresentedClient(presented, policy, options);
  } catch (error) {
    if (policy.mtls !== "optional" || !(error instanceof PeerRejectedError)) throw error;
    return makeAnonymous("client_certificate_refused", { error, chain: presented });
  }
}

/**
 * The client of a connection without TLS: nothing is known of it.
 *
 * Earlier stages turn away who may not speak in clear. They decide by what they have seen of the connection so far; this
 * decides once more, by the route that is going to serve it.
 *
 * @param asks What its first packet is for.
 * @throws {StageError} `tls_required` or `plaintext_cancel_refused`.
 */
export function plaintextClient(policy: ClearPolicy, asks: "session" | "cancel"): AnonymousClient {
  if (asks === "cancel" && !policy.plaintextCancel) {
    throw new StageError("plaintext_cancel_refused", "Cannot forward a CancelRequest sent outside TLS");
  }
  if (asks === "session" && policy.tlsEnabled && !policy.unsafeAllowPlaintext) {
    throw new StageError("tls_required", "Cannot serve a client that does not ask for TLS");
  }
  return makeAnonymous("listener_without_tls");
}

/** Which connections a listener serves without TLS. */
export interface ClearPolicy {
  readonly tlsEnabled: boolean;
  readonly unsafeAllowPlaintext: boolean;
  readonly plaintextCancel: boolean;
}

/**
 * Decides whether a backend is the one that was meant.
 *
 * @param presented The certificates of the TLS session, DER, leaf first.
 * @throws {PeerRejectedError} If it is not.
 */
export function verifyBackend(
  presented: readonly Uint8Array[],
  policy: BackendPolicy,
  options: VerifyOptions = {},
): VerifiedPeer {
  if (presented.length === 0) {
    throw new PeerRejectedError("no_certificate", "Cannot accept the backend: it presented no certificate");
  }
  const now = options.now ?? Date.now();
  const scope = policy.tlsVerify === "full" ? `name ${policy.serverName}` : "any name";
  return accept(presented, { trust: policy.trust, purpose: "server", scope, now }, (path) => {
    if (policy.tlsVerify !== "ca") checkName(path, policy.serverName);
  });
}

function verifyPresentedClient(
  presented: readonly Uint8Array[],
  policy: ClientPolicy,
  options: VerifyOptions,
): VerifiedPeer {
  if (presented.length === 0) {
    throw new PeerRejectedError(
      "no_certificate",
      "Cannot accept the client: it presented no certificate, one is required",
    );
  }
  if (policy.trust === null) {
    throw new PeerRejectedError(
      "unknown_issuer",
      "Cannot accept the client: the listener has no client CA to check it",
    );
  }
  const now = options.now ?? Date.now();
  return accept(presented, { trust: policy.trust, purpose: "client", scope: "", now }, () => {});
}

interface Question {
  readonly trust: TrustStore;
  readonly purpose: Purpose;
  /** What else the answer depends on. */
  readonly scope: string;
  readonly now: number;
}

/** From the cache, or by validation; `checkMore` sees every path before it is remembered. */
function accept(
  presented: readonly Uint8Array[],
  question: Question,
  checkMore: (path: ValidPath) => void,
): VerifiedPeer {
  const { trust, now } = question;
  const cache = cacheOf(trust);
  const key = fingerprint(presented, question);
  const known = cache.get(key, now);
  if (known !== null) return makeVerified(presented, known);
  const path = findPath(presented, trust, { purpose: question.purpose, now });
  checkMore(path);
  const { from, until, notAfter } = path;
  const acceptance = { from, until, notAfter, trustedBy: describeName(path.anchor.subject) };
  cache.set(key, acceptance);
  return makeVerified(presented, acceptance);
}

function checkName(path: ValidPath, serverName: string): void {
  const reference = parseReferenceName(serverName);
  if (reference !== null && isNamed(path.leaf, reference)) return;
  const state = `it is for ${describeNames(path.leaf)}, expected "${escapeText(serverName, 260)}"`;
  throw rejection("name_mismatch", path.leaf, state);
}

function cacheOf(trust: TrustStore): AcceptanceCache {
  const known = caches.get(trust);
  if (known !== undefined) return known;
  const made = new AcceptanceCache();
  caches.set(trust, made);
  return made;
}

/** Lengths go in front of everything, so that no two different questions hash the same bytes. */
function fingerprint(presented: readonly Uint8Array[], question: Question): string {
  const hash = createHash("sha256");
  hash.update(`${question.purpose} ${question.scope.length} ${question.scope} ${presented.length}`);
  for (const der of presented) hash.update(` ${der.length} `).update(der);
  return hash.digest("base64");
}

/** By store, so that an acceptance cannot outlive a reload or reach another route. */
const caches = new WeakMap<TrustStore, AcceptanceCache>();
