/**
 * `[[proxy.allow]]` as an app: a session that one rule matches is accepted, any other refused.
 *
 * A certificate counts if and only if it was verified. Comparison is exact, case included; a regex matches from end to
 * end. What a rule cannot read (a name that is too long, a certificate without such a name) does not match it.
 */

import type { AllowRule, Pattern } from "../../config/types.ts";
import { isInRange, parseIp, parseIpRange } from "../../ip_address.ts";
import { certificateNames } from "../../tls/name_text.ts";
import type { App, PostgresqlScope } from "../types.ts";

/**
 * Makes the app of a route's rules.
 *
 * @param rules As parsed, so every regex and range is right. `[]` refuses everybody.
 */
export function allowRules(rules: readonly AllowRule[]): App {
  const matchers = rules.map(compileRule);
  return async (scope, receive, send) => {
    if (scope.type !== "postgresql") throw new TypeError(`Cannot serve a scope of type "${scope.type}"`);
    await receive();
    const session = sessionOf(scope);
    const misses: string[] = [];
    for (const [i, miss] of matchers.entries()) {
      const why = miss(session);
      if (why === null) return await send({ type: "postgresql.accept" });
      misses.push(`allow[${i}] wants another ${why}`);
    }
    await send({ type: "postgresql.reject", detail: `No rule matches: ${misses.join("; ")}` });
  };
}

/** What the rules look at. */
interface Session {
  /** Octets; `null` if the client has no IP address. */
  readonly address: Uint8Array | null;
  readonly host: string;
  readonly user: string;
  /** One, or none for physical replication, which reads every database there is. */
  readonly databases: readonly string[];
  /** Names of the verified certificate; `[]` without one. */
  names(key: CertificateKey): readonly string[];
}

function sessionOf(scope: PostgresqlScope): Session {
  const { client: [host], user, database, parameters } = scope;
  let names: Readonly<Record<CertificateKey, readonly string[]>> | undefined;
  return {
    address: parseIp(host),
    host,
    user,
    databases: isPhysicalReplication(parameters["replication"]) ? [] : [database],
    names: (key) => (names ??= verifiedNames(scope))[key],
  };
}

function verifiedNames(scope: PostgresqlScope): Readonly<Record<CertificateKey, readonly string[]>> {
  const { tls } = scope.extensions;
  const leaf = tls?.client_cert_chain[0];
  if (tls === undefined || leaf === undefined || tls.client_cert_error !== null) return NO_NAMES;
  const { commonName, alternativeNames } = certificateNames(leaf);
  return {
    // A certificate without a subject names nobody, as one with an empty common name does.
    clientCertName: tls.client_cert_name ? [tls.client_cert_name] : [],
    clientCertCn: commonName ? [commonName] : [],
    clientCertSan: alternativeNames.slice(0, MAX_ALTERNATIVE_NAMES),
  };
}

/** Everything but what PostgreSQL reads as false; `database` is logical replication, which is bound to one. */
function isPhysicalReplication(value = ""): boolean {
  return !/^(?:database|0|f|fa|fal|fals|false|n|no|of|off|)$/i.test(value);
}

/** Tells why a session does not match a rule; `null` if it does. */
function compileRule(rule: AllowRule): (session: Session) => string | null {
  const ranges = rule.clientAddress?.map((range) => parseIpRange(range)!) ?? null;
  const certificate = CERTIFICATE_KEYS.flatMap((key) => {
    const patterns = rule[key];
    return patterns === null ? [] : [{ key, match: compilePatterns(patterns) }];
  });
  const matchDatabase = rule.databases && compilePatterns(rule.databases);
  const matchUser = rule.users && compileUsers(rule.users);
  return (session) => {
    const { address } = session;
    if (ranges !== null && !(address !== null && ranges.some((range) => isInRange(address, range)))) {
      return `client_address than ${show([session.host])}`;
    }
    const captures = new Set<string>();
    for (const { key, match } of certificate) {
      const found = match(session.names(key));
      if (found === null) return `${WRITTEN[key]} than ${show(session.names(key))}`;
      for (const capture of found) captures.add(capture);
    }
    if (matchDatabase !== null && matchDatabase(session.databases) === null) {
      return `database than ${show(session.databases)}`;
    }
    return matchUser === null || matchUser(session.user, captures)
      ? null
      : `user than ${show([session.user])}`;
  };
}

/** Matches one of several values: what the first groups have captured, which may be nothing; `null` if none matches. */
function compilePatterns(patterns: readonly Pattern[]): (values: readonly string[]) => string[] | null {
  const texts = new Set(patterns.flatMap(({ kind, parts }) => kind === "text" ? parts : []));
  const regexes = patterns.flatMap(({ kind, parts }) => kind === "regex" ? [anchored(parts.join(""))] : []);
  return (values) => {
    const matches = values.flatMap((value) =>
      value.length > MAX_REGEX_SUBJECT ? [] : regexes.map((it) => it.exec(value))
    )
      .filter((match) => match !== null);
    if (matches.length === 0 && !values.some((value) => texts.has(value))) return null;
    // A group that took no part, or matched nothing, names nobody.
    return matches.flatMap(([, capture]) => capture ? [capture] : []);
  };
}

function compileUsers(
  patterns: readonly Pattern[],
): (user: string, captures: ReadonlySet<string>) => boolean {
  const fixed = compilePatterns(patterns.filter(({ parts }) => parts.length === 1));
  const open = patterns.filter(({ parts }) => parts.length > 1);
  return (user, captures) =>
    fixed([user]) !== null ||
    open.some((pattern) => [...captures].some((capture) => fits(user, pattern, capture)));
}

/** Quoted, so that a certificate for `.*` is for a user of that name. */
function fits(user: string, { kind, parts }: Pattern, capture: string): boolean {
  if (kind === "text") return user === parts.join(capture);
  return anchored(parts.join(`(?:${RegExp.escape(capture)})`)).test(user);
}

function anchored(source: string): RegExp {
  return new RegExp(`^(?:${source})$`, "u");
}

function show(values: readonly string[]): string {
  if (values.length === 0) return "none";
  const shown = values.slice(0, MAX_SHOWN).map((value) => JSON.stringify(value.slice(0, MAX_SHOWN_LENGTH)));
  return shown.join(", ") + (values.length > MAX_SHOWN ? ", …" : "");
}

type CertificateKey = "clientCertName" | "clientCertCn" | "clientCertSan";

const CERTIFICATE_KEYS: readonly CertificateKey[] = ["clientCertName", "clientCertCn", "clientCertSan"];

const WRITTEN = {
  clientCertName: "client_cert_name",
  clientCertCn: "client_cert_cn",
  clientCertSan: "client_cert_san",
} as const;

const NO_NAMES = { clientCertName: [], clientCertCn: [], clientCertSan: [] };

/** In UTF-16 units: more than subjects have, and little enough for every regex that config/pattern.ts lets pass. */
const MAX_REGEX_SUBJECT = 256;

const MAX_ALTERNATIVE_NAMES = 1_000;

const MAX_SHOWN = 3;
const MAX_SHOWN_LENGTH = 80;
