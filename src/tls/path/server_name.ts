/** Whether a certificate is for the server that was meant (RFC 9525, and libpq's rule for the common name). */

import { Buffer } from "node:buffer";
import { isIP } from "node:net";

import { sameBytes } from "./der.ts";
import type { Certificate } from "./certificate.ts";
import { escapeText } from "./describe.ts";
import { isHostName, lowerCase, parentDomain, wildcardParent } from "./dns.ts";
import { attributeTexts, COMMON_NAME, type GeneralName } from "./names.ts";

/** What the peer is asked to be. */
export type ReferenceName =
  | { readonly kind: "dns"; readonly name: string }
  | { readonly kind: "ip"; readonly octets: Uint8Array };

/** A DNS name (lower case, without trailing dot) or the octets of an IP literal; `null` if the text is neither. */
export function parseReferenceName(text: string): ReferenceName | null {
  const literal = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  const version = isIP(literal);
  if (version === 4) return { kind: "ip", octets: Uint8Array.from(literal.split("."), Number) };
  if (version === 6) return literal.includes("%") ? null : { kind: "ip", octets: ipv6Octets(literal) };
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  return isHostName(name) ? { kind: "dns", name: lowerCase(name) } : null;
}

/**
 * Whether the certificate names `reference`.
 *
 * The common name counts as libpq's does, only when there is no subjectAltName of any kind; and, unlike libpq's,
 * only for a DNS name, never for an IP address, and only when there is exactly one.
 */
export function isNamed(certificate: Certificate, reference: ReferenceName): boolean {
  const sans = certificate.extensions.subjectAltNames;
  if (sans !== null) return sans.some((san) => matches(san, reference));
  const commonNames = attributeTexts(certificate.subject, COMMON_NAME);
  const [only] = commonNames;
  if (commonNames.length !== 1 || typeof only !== "string") return false;
  return matches({ kind: "dns", value: only }, reference);
}

/** What the certificate is for, for a message: at most five names. */
export function describeNames(certificate: Certificate): string {
  const sans = certificate.extensions.subjectAltNames;
  if (sans === null) {
    const names = attributeTexts(certificate.subject, COMMON_NAME).map((text) =>
      `"${escapeText(text ?? "?", 64)}"`
    );
    return names.length === 0 ? "no name at all" : `no subjectAltName, CN ${names.slice(0, 5).join(", ")}`;
  }
  const names = sans.slice(0, 5).map(describeSan);
  return sans.length > 5 ? `${names.join(", ")} and ${sans.length - 5} more` : names.join(", ");
}

function describeSan(san: GeneralName): string {
  if (san.kind === "ip") return formatIp(san.value);
  return "value" in san && typeof san.value === "string"
    ? `"${escapeText(san.value, 64)}"`
    : `a ${san.kind} name`;
}

function formatIp(octets: Uint8Array): string {
  return octets.length === 4
    ? octets.join(".")
    : Buffer.from(octets).toString("hex").match(/.{4}/g)!.join(":");
}

function matches(san: GeneralName, reference: ReferenceName): boolean {
  if (reference.kind === "ip") return san.kind === "ip" && sameBytes(san.value, reference.octets);
  if (san.kind !== "dns") return false;
  const presented = lowerCase(san.value);
  if (isHostName(presented)) return presented === reference.name;
  const parent = wildcardParent(presented);
  return parent !== null && parentDomain(reference.name) === parent;
}

/** The text has passed `isIP`. */
function ipv6Octets(text: string): Uint8Array {
  const embedded = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const hex = embedded === null ? text : embedded[1]! + embeddedGroups(embedded.slice(2).map(Number));
  const [head = "", tail] = hex.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros: string[] = new Array(8 - left.length - right.length).fill("0");
  const groups = [...left, ...zeros, ...right].map((group) => Number.parseInt(group, 16));
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

function embeddedGroups(octets: readonly number[]): string {
  const [a = 0, b = 0, c = 0, d = 0] = octets;
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}
