/** Everything about one connection: what happened and what to do, times, and the TLS of both legs. */

import type { ComponentChildren } from "preact";
import { formatBytes, formatDuration, formatNumber, formatTime } from "./format.ts";
import { describeReason } from "./reason_words.ts";
import { describeRefusal, describeRejection } from "./rejection_words.ts";
import type { Leg, Row } from "./rows.ts";
import { describeState } from "./state_words.ts";
import { cipherName, describeCipher, describeVersion } from "./tls_words.ts";

/** The panel under a row. */
export function Details({ row, now }: { row: Row; now: number }) {
  return (
    <div class="panel">
      {row.reason !== null && <Why row={row} reason={row.reason} />}
      <div class="facts">
        <Facts title="Connection">
          <Fact name="ID">
            <code>{row.connection}</code>
          </Fact>
          <Fact name="Route">{row.route ?? "none chosen"}</Fact>
          <Fact name="Client">
            <code>{row.client}</code>
          </Fact>
          <Fact name="Backend">{row.backend === null ? "not dialled" : <code>{row.backend}</code>}</Fact>
          <Fact name="Application">{row.applicationName ?? "not named"}</Fact>
          <Fact name="Opened">{formatTime(row.openedAt, now)}</Fact>
          {row.closedAt === null ? <Fact name="State">{describeState(row.state)}</Fact> : (
            <Fact name="Ended">
              {formatTime(row.closedAt, now)}, after {formatDuration(row.durationMs ?? 0)}
            </Fact>
          )}
          <Fact name="Bytes">{bytesText(row)}</Fact>
        </Facts>
        <LegFacts title="Client to pgtls" leg={row.clientTls} certLabel="Client certificate" />
        <LegFacts title="pgtls to backend" leg={row.backendTls} certLabel="Certificate of pgtls" />
      </div>
    </div>
  );
}

function Why({ row, reason }: { row: Row; reason: string }) {
  const { next } = describeReason(reason);
  const meaning = row.code !== null && describeRefusal(row.code, reason) || describeReason(reason).meaning;
  const advice = row.code === null ? next : describeRejection(row.code) ?? next;
  return (
    <dl class="why">
      <Fact name="What happened">{meaning}</Fact>
      {row.detail !== null && <Fact name="In detail">{row.detail}</Fact>}
      {advice !== null && <Fact name="What to do">{advice}</Fact>}
      <Fact name="In the log as">
        <code>{reason}</code>
        {row.code !== null && (
          <>
            {" "}
            <code>{row.code}</code>
          </>
        )}
      </Fact>
    </dl>
  );
}

function LegFacts({ title, leg, certLabel }: { title: string; leg: Leg | null; certLabel: string }) {
  if (leg === null) {
    return (
      <Facts title={title}>
        <Fact name="TLS">none</Fact>
      </Facts>
    );
  }
  return (
    <Facts title={title}>
      <Fact name="TLS">{describeVersion(leg.version)}, {describeCipher(leg.cipher)}</Fact>
      <Fact name="Cipher suite">
        <code>{cipherName(leg.cipher)}</code>
      </Fact>
      <Fact name="Session">{leg.resumed ? "resumed, and verified again" : "new"}</Fact>
      <Fact name="Server name">{leg.serverName === null ? "none sent" : <code>{leg.serverName}</code>}</Fact>
      <Fact name="ALPN">{leg.alpn === null ? "none" : <code>{leg.alpn}</code>}</Fact>
      <Fact name={certLabel}>
        {leg.certName === null ? "none" : <code>{leg.certName || "(empty name)"}</code>}
      </Fact>
      {leg.certError !== null && <Fact name="Not accepted">{leg.certError}</Fact>}
      {leg.clientSha256 !== null && (
        <Fact name={`${certLabel}, SHA-256`}>
          <code>{leg.clientSha256}</code>
        </Fact>
      )}
      {leg.serverSha256 !== null && (
        <Fact name="Server certificate, SHA-256">
          <code>{leg.serverSha256}</code>
        </Fact>
      )}
    </Facts>
  );
}

function Facts({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div>
      <h3>{title}</h3>
      <dl>{children}</dl>
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function bytesText({ bytesFromClient, bytesFromBackend }: Row): string {
  const [inWords, outWords] = [bytesFromClient, bytesFromBackend].map((bytes) =>
    bytes < 1024 ? `${bytes} B` : `${formatBytes(bytes)} (${formatNumber(bytes)})`
  );
  return `${inWords} from client, ${outWords} from backend`;
}
