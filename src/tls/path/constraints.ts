/**
 * Name constraints (RFC 5280 section 4.2.1.10) over the certificates below a CA.
 *
 * DNS and IP constraints are evaluated. The others are not: a certificate with a name of a constrained form is
 * refused, as rustls-webpki does. Every certificate has a subject, so a directoryName constraint refuses all.
 */

import { PeerRejectedError } from "../../errors.ts";
import type { Certificate } from "./certificate.ts";
import { describeName, escapeText } from "./describe.ts";
import { isHostName, lowerCase, parentDomain, wildcardParent } from "./dns.ts";
import type { Purpose } from "./fitness.ts";
import { attributeTexts, COMMON_NAME, EMAIL_ADDRESS, type GeneralName } from "./names.ts";
import { rejection } from "./rejection.ts";

/** Counts comparisons down: a certificate of 64 KB can hold thousands of names, and so can a constraint. */
export interface ComparisonBudget {
  comparisons: number;
}

/**
 * What the constraints of `authority` have against `certificate`, which stands anywhere below it.
 *
 * @returns `name_constraint`, `too_complex`, or `null`.
 */
export function constraintProblem(
  authority: Certificate,
  certificate: Certificate,
  options: { readonly purpose: Purpose; readonly isLeaf: boolean; readonly budget: ComparisonBudget },
): PeerRejectedError | null {
  const constraints = authority.extensions.nameConstraints;
  if (constraints === null) return null;
  for (const name of namesOf(certificate, options)) {
    options.budget.comparisons -= constraints.permitted.length + constraints.excluded.length;
    if (options.budget.comparisons < 0) {
      return rejection("too_complex", certificate, "it takes too many comparisons of names with constraints");
    }
    const problem = nameProblem(name, constraints);
    if (problem === null) continue;
    const state = `${problem} by the name constraints of ${describeName(authority.subject)}`;
    return rejection("name_constraint", certificate, state);
  }
  return null;
}

/** Every name that somebody may take for an identity: SANs, the subject, its mail address, and a CN that acts as host name. */
function namesOf(certificate: Certificate, options: { purpose: Purpose; isLeaf: boolean }): GeneralName[] {
  const sans = certificate.extensions.subjectAltNames;
  const names: GeneralName[] = [...(sans ?? []), { kind: "directory", value: certificate.subject }];
  for (const email of attributeTexts(certificate.subject, EMAIL_ADDRESS)) {
    names.push({ kind: "email", value: email ?? "" });
  }
  if (sans !== null || !options.isLeaf) return names;
  for (const text of attributeTexts(certificate.subject, COMMON_NAME)) {
    // A client's CN is a user name; it counts as a host name only when it looks like one.
    const isHost = text !== null && (isHostName(text) || wildcardParent(text) !== null);
    if (isHost && (options.purpose === "server" || text.includes("."))) {
      names.push({ kind: "dns", value: text });
    }
  }
  return names;
}

function nameProblem(
  name: GeneralName,
  constraints: { readonly permitted: readonly GeneralName[]; readonly excluded: readonly GeneralName[] },
): string | null {
  const permitted = constraints.permitted.filter((base) => base.kind === name.kind);
  const excluded = constraints.excluded.filter((base) => base.kind === name.kind);
  if (permitted.length + excluded.length === 0) return null;
  const text = describe(name);
  if (name.kind !== "dns" && name.kind !== "ip") return `its ${text} is constrained, which is not supported,`;
  if (name.kind === "dns" && !isHostName(name.value) && wildcardParent(name.value) === null) {
    return `its ${text} is not a host name and so is not permitted`;
  }
  if (excluded.some((base) => isExcluded(name, base))) return `its ${text} is excluded`;
  if (permitted.length > 0 && !permitted.some((base) => isPermitted(name, base))) {
    return `its ${text} is not permitted`;
  }
  return null;
}

function isPermitted(name: GeneralName, base: GeneralName): boolean {
  if (name.kind === "dns" && base.kind === "dns") {
    return isUnder(lowerCase(name.value), lowerCase(base.value));
  }
  return name.kind === "ip" && base.kind === "ip" && isInRange(name.value, base.value);
}

function isExcluded(name: GeneralName, base: GeneralName): boolean {
  if (name.kind === "ip" && base.kind === "ip") return isInRange(name.value, base.value);
  // Never another pair, and if it were: in doubt it is excluded.
  if (name.kind !== "dns" || base.kind !== "dns") return true;
  const text = lowerCase(name.value);
  const domain = lowerCase(base.value);
  if (isUnder(text, domain)) return true;
  // "*.example.com" can stand for "db.example.com", so a constraint on that host meets it.
  const parent = wildcardParent(text);
  return parent !== null && parentDomain(domain.replace(/^\./, "")) === parent;
}

/**
 * Zero or more labels in front of the base; with a leading dot, at least one.
 * A wildcard is under its parent, and never under one of the hosts it could stand for.
 */
function isUnder(name: string, base: string): boolean {
  if (base === "") return true;
  return base.startsWith(".")
    ? name.endsWith(base) && name !== base
    : name === base || name.endsWith(`.${base}`);
}

/** `range` is an address and a mask of the same length (RFC 4632). */
function isInRange(address: Uint8Array, range: Uint8Array): boolean {
  if (address.length * 2 !== range.length) return false;
  return address.every((octet, index) => ((octet ^ range[index]!) & range[address.length + index]!) === 0);
}

function describe(name: GeneralName): string {
  switch (name.kind) {
    case "dns":
      return `DNS name "${escapeText(name.value, 64)}"`;
    case "ip":
      return `IP address ${name.value.join(name.value.length === 4 ? "." : ":")}`;
    case "email":
      return "e-mail address";
    case "uri":
      return "URI";
    case "directory":
      return "subject or directory name";
    default:
      return `name of kind "${name.kind}"`;
  }
}
