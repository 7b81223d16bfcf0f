/** What an event says, in words, for the feed. */

import { formatBytes, formatDuration } from "./format.ts";
import { describeReason } from "./reason_words.ts";
import type { EventJson, TlsJson } from "./shapes.ts";
import { describeCipher, describeVersion } from "./tls_words.ts";

/** One line about an event; its other fields as `key=value` where no words were written for it. */
export function describeEvent(event: EventJson): string {
  return WORDS.get(event.event)?.(event) ?? listFields(event);
}

function listFields(event: EventJson): string {
  return Object.entries(event)
    .filter(([name, value]) => !SHOWN_ELSEWHERE.has(name) && value !== null)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
}

function describeTls(value: unknown): string {
  if (typeof value !== "object" || value === null) return "no TLS";
  const tls = value as TlsJson;
  const session = tls.resumed ? ", resumed session" : "";
  return `${describeVersion(tls.tls_version)}, ${describeCipher(tls.cipher_suite)}${session}`;
}

function describeLogin({ auth_mode, client_binding, backend_binding }: EventJson): string {
  if (auth_mode === "passthrough") return "session open; the login is the backend's";
  const bound = (value: unknown) => value === true ? "bound" : "not bound";
  const backend = backend_binding === null ? "asked for none" : bound(backend_binding);
  return `logged in (${auth_mode}): client ${bound(client_binding)} to the certificate, backend ${backend}`;
}

function describeClosed(event: EventJson): string {
  const { reason, detail, duration_ms, bytes_from_client, bytes_from_backend } = event;
  const why = detail ? `: ${detail}` : "";
  const bytes = `${formatBytes(Number(bytes_from_client))} from client, ${
    formatBytes(Number(bytes_from_backend))
  } from backend`;
  return `${describeReason(String(reason)).title}${why} (after ${
    formatDuration(Number(duration_ms))
  }; ${bytes})`;
}

function describeProblem(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  const { path, message } = value as { path?: string; message?: string };
  return [path, message].filter((part) => part).join(": ");
}

function describeProblems(value: unknown): string {
  return Array.isArray(value) ? value.map(describeProblem).join("; ") : describeProblem(value);
}

function describeReload({ generation, added, changed, removed }: EventJson): string {
  const parts = Object.entries({ added, changed, removed })
    .filter(([, names]) => Array.isArray(names) && names.length > 0)
    .map(([what, names]) => `${what} ${(names as string[]).join(", ")}`);
  return `configuration ${generation}: ${parts.join("; ") || "nothing changed"}`;
}

const TRANSPORTS = new Map<unknown, string>([
  ["requested_tls", "client asked for TLS"],
  ["direct_tls", "client began TLS directly"],
  ["plaintext", "client goes on without TLS"],
]);

const WORDS = new Map<string, (event: EventJson) => string | undefined>([
  ["connection.accepted", () => "client connected"],
  ["proxy_header.received", ({ proxy }) => `load balancer ${proxy} names the client`],
  ["negotiation.completed", ({ transport }) => TRANSPORTS.get(transport)],
  ["handshake.completed", ({ tls }) => describeTls(tls)],
  ["negotiation.failed", ({ reason, detail }) => `${describeReason(String(reason)).title}: ${detail}`],
  ["handshake.failed", ({ reason, detail }) => `${describeReason(String(reason)).title}: ${detail}`],
  ["peer.verified", ({ identity }) => `certificate checked: ${identity}`],
  ["peer.rejected", ({ code, detail }) => `${detail} (${code})`],
  [
    "startup.received",
    ({ user, database, application_name }) =>
      `login as ${user} to database ${database}${application_name ? ` by ${application_name}` : ""}`,
  ],
  ["cancel.received", ({ encrypted }) => `cancel request ${encrypted ? "over TLS" : "without TLS"}`],
  ["connection.authorized", () => "permitted"],
  [
    "route.chosen",
    ({ server_name }) =>
      `route chosen ${server_name ? `by server name ${server_name}` : "without a server name"}`,
  ],
  ["rule.denied", ({ detail }) => `no rule lets it in: ${detail}`],
  [
    "app.accepted",
    ({ user, database, backend_route }) =>
      `app lets in ${user} to database ${database} at the backend of ${backend_route}`,
  ],
  ["app.rejected", ({ message, detail }) => `app refuses: ${detail ?? message}`],
  ["app.failed", ({ detail }) => `app failed: ${detail}`],
  ["config.warning", ({ problem }) => describeProblem(problem)],
  ["tls.expiring", ({ problem }) => describeProblem(problem)],
  ["tls.loaded", ({ files }) => `files in use: ${Array.isArray(files) ? files.join(", ") : ""}`],
  ["listener.failed", ({ detail }) => `cannot listen: ${detail}`],
  ["config.reloaded", describeReload],
  ["config.reload_failed", ({ problems }) => `nothing changed: ${describeProblems(problems)}`],
  ["tls.reloaded", ({ files }) => `new files in use: ${Array.isArray(files) ? files.join(", ") : ""}`],
  [
    "tls.reload_failed",
    ({ file, detail }) => `goes on with what it had: ${file ? `${file}: ` : ""}${detail}`,
  ],
  ["backend.connected", ({ backend, tls }) => `connected to ${backend}: ${describeTls(tls)}`],
  ["session.opened", describeLogin],
  ["authentication.failed", ({ reason, detail }) => `${describeReason(String(reason)).title}: ${detail}`],
  ["backend.failed", ({ reason, detail }) => `${describeReason(String(reason)).title}: ${detail}`],
  ["connection.closed", describeClosed],
  ["connection.refused", ({ count, detail }) => `${count} turned away: ${detail}`],
]);

const SHOWN_ELSEWHERE = new Set(["time", "level", "event", "connection", "route", "client"]);
