/** `openssl s_client` against pgtls: the client that keeps a session ticket in a file, for use wherever one likes. */
import { join } from "node:path";
import { bytesOf, packetOf, PROTOCOL_3_0 } from "../wire/bytes.ts";
import type { Leaf } from "./pki.ts";
import { startProcess } from "./process.ts";

/** How s_client is run. */
export interface SClientOptions {
  readonly version?: "1.2" | "1.3";
  /** Ask for TLS the PostgreSQL way. @default true */
  readonly starttls?: boolean;
  /** The client certificate it presents. */
  readonly leaf?: Pick<Leaf, "chainPem" | "keyPem">;
  /** SNI; sessions are resumed under the same name only. @default "localhost" */
  readonly serverName?: string;
  /** File the session ticket is written to. */
  readonly sessionOut?: string;
  /** File a session ticket is taken from. */
  readonly sessionIn?: string;
  /** Further arguments, such as `["-alpn", "postgresql"]`. */
  readonly args?: readonly string[];
  /** What ends the conversation. @default An ErrorResponse or ReadyForQuery */
  readonly until?: RegExp;
}

/** What s_client saw. */
export interface SClientResult {
  /** Whether the server took up the session of `sessionIn`. */
  readonly resumed: boolean;
  /** SQLSTATE of the ErrorResponse read inside TLS; `null` when there was none. */
  readonly sqlstate: string | null;
  /** Whether the backend's ReadyForQuery came through. */
  readonly ready: boolean;
  /** Bytes the server sent until the handshake was complete. */
  readonly handshakeBytes: number;
  /** Number of certificates the server sent. */
  readonly certificates: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Connects to a port of 127.0.0.1, completes TLS, sends a StartupMessage of `alice` and waits for the answer. */
export async function sClient(port: number, options: SClientOptions = {}): Promise<SClientResult> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-s-client-" });
  try {
    const args = ["s_client", "-connect", `127.0.0.1:${port}`, ...await argumentsOf(dir, options)];
    await using client = startProcess("openssl", args);
    await client.write(STARTUP_OF_ALICE).catch(() => {});
    // A handshake that fails ends s_client without a match; what it printed tells the rest.
    await client.waitFor(options.until ?? ANSWER).catch(() => {});
    return resultOf(await client.stop());
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function argumentsOf(dir: string, options: SClientOptions): Promise<string[]> {
  const { version, starttls = true, leaf, serverName = "localhost", sessionIn, sessionOut } = options;
  const args = ["-nocommands", "-showcerts", "-servername", serverName, ...(options.args ?? [])];
  if (starttls) args.push("-starttls", "postgres");
  if (version !== undefined) args.push(version === "1.2" ? "-tls1_2" : "-tls1_3");
  if (sessionIn !== undefined) args.push("-sess_in", sessionIn);
  if (sessionOut !== undefined) args.push("-sess_out", sessionOut);
  if (leaf === undefined) return args;
  const [cert, key, rest] = [join(dir, "client.crt"), join(dir, "client.key"), join(dir, "rest.crt")];
  const [own, ...others] = leaf.chainPem.split(/(?<=-----END CERTIFICATE-----\n)/);
  await Deno.writeTextFile(cert, own!);
  await Deno.writeTextFile(rest, others.join(""));
  await Deno.writeTextFile(key, leaf.keyPem, { mode: 0o600 });
  return [...args, "-cert", cert, "-key", key, ...(others.length > 0 ? ["-cert_chain", rest] : [])];
}

function resultOf({ stdout, stderr }: { stdout: string; stderr: string }): SClientResult {
  return {
    resumed: /^Reused, TLSv1\.[23]/m.test(stdout),
    sqlstate: stdout.match(/\0C([0-9A-Z]{5})\0/)?.[1] ?? null,
    ready: READY.test(stdout),
    handshakeBytes: Number(stdout.match(/SSL handshake has read (\d+) bytes/)?.[1] ?? NaN),
    certificates: stdout.match(/-----BEGIN CERTIFICATE-----/g)?.length ?? 0,
    stdout,
    stderr,
  };
}

// deno-lint-ignore no-control-regex -- ReadyForQuery, idle
const READY = /Z\0\0\0\x05I/;
// deno-lint-ignore no-control-regex -- or the SQLSTATE of an ErrorResponse and the message behind it
const ANSWER = /Z\0\0\0\x05I|\0C[0-9A-Z]{5}\0M[^\0]*\0/;

const STARTUP_OF_ALICE = bytesOf(packetOf(PROTOCOL_3_0, "user\0alice\0database\0demo\0\0")) as Uint8Array<
  ArrayBuffer
>;
