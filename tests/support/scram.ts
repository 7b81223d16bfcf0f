/** Verifiers as PostgreSQL would make them, and both roles of SCRAM wired back to back. */
import type { PostgresServer } from "../../src/demo/postgres.ts";
import { deriveKeys, sha256 } from "../../src/auth/hashing.ts";
import type { ScramKeys, ScramVerifier } from "../../src/wire/scram.ts";
import { type ScramBinding, ScramClient } from "../../src/wire/scram_client.ts";
import { type ScramProven, ScramServer } from "../../src/wire/scram_server.ts";

/** What the keys of a password leave with the server. */
export async function makeVerifier(
  password: string | Uint8Array,
  { salt = new Uint8Array(16).fill(7), iterations = 4096 } = {},
): Promise<ScramVerifier & ScramKeys> {
  const bytes = typeof password === "string" ? new TextEncoder().encode(password) : password;
  const keys = await deriveKeys(bytes, { salt, iterations });
  return { ...keys, iterations, salt, storedKey: sha256.hash(keys.clientKey) };
}

/** The text of a verifier, as in `pg_authid.rolpassword`. */
export function formatVerifier({ iterations, salt, storedKey, serverKey }: ScramVerifier): string {
  const [s, stored, server] = [salt, storedKey, serverKey].map((bytes) => Uint8Array.from(bytes).toBase64());
  return `SCRAM-SHA-256$${iterations}:${s}$${stored}:${server}`;
}

/** How {@linkcode runScram} is run. */
export interface ScramRun {
  readonly verifier: ScramVerifier;
  readonly keys: ScramKeys;
  readonly binding: ScramBinding;
  /** The hash of the certificate as the server knows it; `null` = PLUS is not offered. */
  readonly endPointHash: Uint8Array | null;
  /** What the network does to each message, by its place in the exchange. */
  readonly tamper?: (message: Uint8Array, step: ScramStep) => Uint8Array;
}

/** The messages of one exchange, in order. */
export type ScramStep = "client-first" | "server-first" | "client-final" | "server-final";

/** Runs one exchange. `proven` is the server's verdict, `isServerKnown` the client's. */
export function runScram(
  { verifier, keys, binding, endPointHash, tamper = (message) => message }: ScramRun,
): { proven: ScramProven | null; isServerKnown: boolean } {
  const client = new ScramClient({ nonce: "c".repeat(24), binding, hashing: sha256 });
  const server = new ScramServer({ verifier, nonce: "s".repeat(24), endPointHash, hashing: sha256 });
  const serverFirst = server.first(client.mechanism, tamper(client.first(), "client-first"));
  client.challenge(tamper(serverFirst, "server-first"));
  const proven = server.final(tamper(client.final(keys), "client-final"));
  return {
    proven,
    isServerKnown: proven !== null && client.verify(tamper(proven.serverFinal, "server-final")),
  };
}

/** The users of a server as an `auth_file` holds them: what an operator would copy out of pg_authid. */
export async function userlistOf(server: PostgresServer): Promise<string> {
  const rows = await server.query("SELECT rolname, rolpassword FROM pg_authid WHERE rolpassword IS NOT NULL");
  const lines = rows.map(({ rolname, rolpassword }) => `${quote(rolname)} ${quote(rolpassword)}`);
  return `; copied from pg_authid\n${lines.join("\n")}\n`;
}

function quote(value: unknown): string {
  return `"${String(value).replaceAll('"', '""')}"`;
}
