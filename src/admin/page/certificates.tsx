/** The view "Certificates": which ends when, soonest first, and where each is used. */

import type { ViewProps } from "./app.tsx";
import { formatCount, formatDate, formatDuration } from "./format.ts";
import { useRowsView } from "./rows_view.ts";
import { findsCertificate } from "./search.ts";
import type { CertificateJson, CertificateUse } from "./shapes.ts";
import { Cell, type Column, More, OpeningRow, Table } from "./table.tsx";
import { describeValidity, type Span, validityOf } from "./validity.ts";

/** When a certificate is valid. */
export function spanOf({ not_before, not_after }: CertificateJson): Span {
  return { notBefore: Date.parse(not_before ?? ""), notAfter: Date.parse(not_after ?? "") };
}

/** Whether its end is the operator's business: not when it was only seen at a client, who may be anybody. */
export function isOurs({ used }: CertificateJson): boolean {
  return used.some(({ use }) => use !== "client_seen");
}

/** The view. */
export function Certificates({ state, now, search }: ViewProps) {
  const view = useRowsView();
  const found = (state.certificates ?? []).filter((certificate) => findsCertificate(search, certificate))
    .toSorted((a, b) => spanOf(a).notAfter - spanOf(b).notAfter);
  const rows = found.slice(0, view.limit);
  return (
    <section aria-labelledby="certificates-title">
      <h2 id="certificates-title">Certificates</h2>
      {rows.length === 0
        ? (
          <p class="empty">
            {state.certificates === null ? "Loading …" : "No certificate matches the search."}
          </p>
        )
        : (
          <Table
            name="certificates"
            caption={`${formatCount(found.length, "certificate")}, soonest end first`}
            columns={COLUMNS}
          >
            {rows.map((certificate) => (
              <CertificateRow key={certificate.sha256} {...{ certificate, now, view }} />
            ))}
          </Table>
        )}
      <More shown={rows.length} found={found.length} beyond={0} onMore={view.showMore} />
    </section>
  );
}

function CertificateRow({ certificate, now, view }: {
  readonly certificate: CertificateJson;
  readonly now: number;
  readonly view: ReturnType<typeof useRowsView>;
}) {
  const { subject, sans, issuer, sha256, used } = certificate;
  const span = spanOf(certificate);
  const validity = validityOf(span, now);
  return (
    <OpeningRow
      id={sha256}
      summary={
        <span class="who">
          <span class="mono cert">{subject || "(empty name)"}</span>
          {sans.length > 0 && <span class="second mono">{sans.join(", ")}</span>}
        </span>
      }
      isOpen={view.isOpen(sha256)}
      onToggle={() => view.toggle(sha256)}
      columns={COLUMNS.length}
      tone={validity}
      details={() => <CertificateDetails certificate={certificate} now={now} />}
    >
      <Cell label="Ends">
        <span class={`badge ${validity}`}>{describeValidity(span, now)}</span>
        <span class="second">{formatDate(span.notAfter)}</span>
      </Cell>
      <Cell label="Used as">
        {usesInWords(used).map((text) => <span class="line" key={text}>{text}</span>)}
      </Cell>
      <Cell label="Issuer">
        <span class="mono">{issuer === subject ? "itself" : issuer}</span>
      </Cell>
    </OpeningRow>
  );
}

function CertificateDetails({ certificate, now }: { certificate: CertificateJson; now: number }) {
  const { sha256, not_before, not_after, used } = certificate;
  return (
    <div class="panel">
      <dl>
        <div class="fact">
          <dt>SHA-256</dt>
          <dd>
            <code>{sha256}</code>
          </dd>
        </div>
        <div class="fact">
          <dt>Valid from</dt>
          <dd>{not_before ?? "unknown"}</dd>
        </div>
        <div class="fact">
          <dt>Valid until</dt>
          <dd>{not_after ?? "unknown"}</dd>
        </div>
        {used.map((use) => (
          <div class="fact" key={JSON.stringify([use.route, use.use, use.file])}>
            <dt>{useInWords(use)}</dt>
            <dd>
              {use.file !== null && <code>{use.file}</code>}
              {use.last_seen !== null && ` last seen ${formatDuration(now - Date.parse(use.last_seen))} ago`}
              {use.file === null && use.last_seen === null && "in use"}
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

/** Uses in words, routes of the same use together. */
function usesInWords(used: readonly CertificateUse[]): string[] {
  const routes = new Map<string, Set<string>>();
  for (const { use, route } of used) {
    const known = routes.get(use) ?? new Set();
    routes.set(use, route === null ? known : known.add(route));
  }
  return [...routes].map(([use, names]) =>
    names.size === 0 ? wordsOfUse(use) : `${wordsOfUse(use)}: ${[...names].join(", ")}`
  );
}

function useInWords({ use, route }: CertificateUse): string {
  return route === null ? wordsOfUse(use) : `${wordsOfUse(use)}: ${route}`;
}

function wordsOfUse(use: string): string {
  return USES.get(use) ?? use.replaceAll("_", " ");
}

const USES = new Map([
  ["listener", "listener, shown to clients"],
  ["client_ca", "CA for clients"],
  ["root_ca", "CA for the backend"],
  ["client_cert", "pgtls's own, shown to the backend"],
  ["admin", "admin server"],
  ["backend_seen", "seen at the backend"],
  ["client_seen", "seen at a client"],
]);

const COLUMNS: readonly Column[] = [
  { key: "subject", label: "Subject" },
  { key: "ends", label: "Ends" },
  { key: "used", label: "Used as" },
  { key: "issuer", label: "Issuer" },
];
