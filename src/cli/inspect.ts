/** `pgtls inspect HOST:PORT`: what TLS a PostgreSQL server offers, whether or not it can be trusted. */

import { isIP } from "node:net";
import { defaultServerName, parseBackendAddress } from "../config/address.ts";
import { readBoundedFile } from "../config/read_file.ts";
import type { Address } from "../config/types.ts";
import { secureBackend } from "../connection/connect_backend.ts";
import { dial } from "../connection/dial.ts";
import { Deadline } from "../connection/deadline.ts";
import { describeFailure, PeerRejectedError } from "../errors.ts";
import { presentedChain, tlsFacts } from "../tls/peer.ts";
import { type TlsFacts, tlsRecord, toPem } from "../tls/record.ts";
import { TrustStore } from "../tls/trust_store.ts";
import { verifyBackend } from "../tls/verify.ts";
import { printable } from "../printable.ts";
import { EXIT, reportError } from "./report.ts";
import { describeCertificate, describeFacts } from "./tls_text.ts";

/** Options of {@linkcode runInspect}. */
export interface InspectOptions {
  /** `host:port`, `[::1]:port` or a socket path. */
  readonly target: string;
  readonly direct?: boolean;
  /** A CA bundle to verify against, or `system`. */
  readonly ca?: string;
  readonly serverName?: string;
  readonly json?: boolean;
}

/** Negotiates TLS, prints record and chain, and hangs up before any StartupMessage. Sends no certificate. */
export async function runInspect(options: InspectOptions): Promise<number> {
  const address = parseBackendAddress(options.target);
  if (address === null) {
    console.error(
      printable(`Cannot inspect "${options.target}": expected host:port, [::1]:port or a socket path`),
    );
    return EXIT.usage;
  }
  const serverName = options.serverName ?? defaultServerName(address) ?? "localhost";
  let trust: TrustStore | null = null;
  try {
    trust = options.ca === undefined ? null : readTrust(options.ca);
  } catch (error) {
    console.error(printable(`Cannot use --ca: ${(error as Error).message}`));
    return EXIT.usage;
  }
  try {
    const facts = await negotiate(address, { serverName, direct: options.direct ?? false });
    const verdict = trust && judge(facts.chain, trust, serverName);
    print(options.json ? asJson(facts, verdict) : asText(options.target, facts, verdict));
    return verdict === null || verdict === "verified" ? EXIT.ok : EXIT.failed;
  } catch (error) {
    const { reason, detail } = describeFailure(error);
    if (reason === "internal_error") return reportError(error);
    console.error(printable(`Could not inspect "${options.target}": ${detail}`));
    return EXIT.failed;
  }
}

/** What was negotiated: the facts of the TLS connection, and every certificate the server presented. */
interface Inspected {
  readonly facts: TlsFacts;
  readonly chain: readonly Uint8Array[];
}

async function negotiate(
  address: Address,
  options: { serverName: string; direct: boolean },
): Promise<Inspected> {
  const sockets: { destroy(): void }[] = [];
  const deadline = new Deadline(TIMEOUT_MS, "backend_timeout", `no answer within ${TIMEOUT_MS} ms`);
  try {
    const socket = await dial(address, {
      signal: deadline.signal,
      onSocket: (socket) => sockets.push(socket),
    });
    const secured = await secureBackend(socket, {
      serverName: options.serverName,
      certPem: null,
      keyPem: null,
      negotiation: options.direct ? "direct" : "postgres",
      signal: deadline.signal,
    });
    sockets.push(secured);
    const chain = presentedChain(secured);
    const facts = tlsFacts(secured, { serverCert: chain[0] ?? null, clientChain: [], clientCertError: null });
    return {
      chain,
      facts: { ...facts, serverName: isIP(options.serverName) === 0 ? options.serverName : null },
    };
  } finally {
    deadline.clear();
    for (const socket of sockets) socket.destroy();
  }
}

function readTrust(ca: string): TrustStore {
  if (ca === "system") return TrustStore.system();
  const { bytes } = readBoundedFile(ca, { limitBytes: CA_LIMIT_BYTES });
  return TrustStore.parse(new TextDecoder().decode(bytes));
}

/** `verified`, or why not. */
function judge(chain: readonly Uint8Array[], trust: TrustStore, serverName: string): string {
  try {
    verifyBackend(chain, { trust, tlsVerify: "full", serverName });
    return "verified";
  } catch (error) {
    if (!(error instanceof PeerRejectedError)) throw error;
    return `not verified (${error.code}): ${error.message}`;
  }
}

function asText(target: string, { facts, chain }: Inspected, verdict: string | null): string {
  return [
    `${target}: PostgreSQL with TLS`,
    ...describeFacts(facts).map((line) => `  ${line}`),
    ...chain.map((der, i) => `  certificate ${i + 1} of ${chain.length}: ${describeCertificate(der)}`),
    `  verification: ${verdict ?? "not asked for (add --ca FILE or --ca system)"}`,
    "",
    chain.map(toPem).join(""),
  ].join("\n");
}

function asJson({ facts, chain }: Inspected, verdict: string | null): string {
  const { alpn, serverName: server_name } = facts;
  return JSON.stringify({
    tls: tlsRecord(facts),
    alpn,
    server_name,
    server_cert_chain: chain.map(toPem),
    verdict,
  });
}

/** PEM needs its newlines and the rest its escapes: `printable` keeps the one and makes the other. */
function print(text: string): void {
  console.log(printable(text));
}

const TIMEOUT_MS = 10_000;

// A bundle of every public CA is a quarter of a megabyte.
const CA_LIMIT_BYTES = 10 * 1024 * 1024;
