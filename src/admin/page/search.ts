/** One search box for everything: words that all have to occur somewhere in a row. */

import { describeEvent } from "./event_words.ts";
import { describeReason } from "./reason_words.ts";
import type { Leg, Row } from "./rows.ts";
import type { CertificateJson, EventJson } from "./shapes.ts";
import type { FeedEntry } from "./state.ts";
import { describeState } from "./state_words.ts";
import { describeCipher, describeVersion } from "./tls_words.ts";

/** Makes a search of what somebody typed: every word must occur, upper and lower case alike. */
export function searchFor(typed: string): Search {
  const words = typed.toLowerCase().split(/\s+/).filter((word) => word !== "");
  return { words };
}

/** What is looked for; no words find everything. */
export interface Search {
  readonly words: readonly string[];
}

/** Whether a connection is found. */
export function findsRow(search: Search, row: Row): boolean {
  return finds(search, row, textOfRow);
}

/** Whether a certificate is found. */
export function findsCertificate(search: Search, certificate: CertificateJson): boolean {
  return finds(search, certificate, textOfCertificate);
}

/** Whether a line of the event feed is found. */
export function findsEntry(search: Search, entry: FeedEntry): boolean {
  return finds(search, entry.event, textOfEvent);
}

function finds<T extends object>({ words }: Search, value: T, textOf: (value: T) => string): boolean {
  if (words.length === 0) return true;
  let text = texts.get(value);
  if (text === undefined) {
    text = textOf(value).toLowerCase();
    texts.set(value, text);
  }
  const found = text;
  return words.every((word) => found.includes(word));
}

function textOfRow(row: Row): string {
  const { reason, detail, code, connection, route, client, user, database, applicationName, backend } = row;
  const words = reason === null ? describeState(row.state) : describeReason(reason).title;
  return join([
    connection,
    route,
    client,
    user,
    database,
    applicationName,
    backend,
    reason,
    detail,
    code,
    words,
    ...textOfLeg(row.clientTls),
    ...textOfLeg(row.backendTls),
  ]);
}

function textOfLeg(leg: Leg | null): (string | null)[] {
  if (leg === null) return [];
  const { certName, certError, serverName, serverSha256, clientSha256 } = leg;
  return [
    certName,
    certError,
    serverName,
    serverSha256,
    clientSha256,
    describeVersion(leg.version),
    describeCipher(leg.cipher),
  ];
}

function textOfCertificate({ subject, sans, issuer, sha256, used }: CertificateJson): string {
  return join([
    subject,
    ...sans,
    issuer,
    sha256,
    ...used.flatMap(({ route, use, file }) => [route, use, file]),
  ]);
}

function textOfEvent(event: EventJson): string {
  const { level, event: name, connection, route, client } = event;
  return join([level, name, connection ?? null, route ?? null, client ?? null, describeEvent(event)]);
}

function join(parts: readonly (string | null)[]): string {
  // A separator nobody types, so that a word is not found across two fields.
  return parts.filter((part) => part !== null).join("\n");
}

// Rows never change, so their text need be made only once; it is forgotten together with the row.
const texts = new WeakMap<object, string>();
