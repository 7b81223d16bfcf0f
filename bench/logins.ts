/**
 * `deno run -A bench/logins.ts [ROUNDS] [LOGINS]`: what a login costs pgtls, by auth.mode.
 *
 * One PostgreSQL and one pgtls with a route for each mode; blocks of new connections in turn, TLS 1.3 and channel
 * binding on both legs. CPU of the pgtls process alone: the client works out its PBKDF2 elsewhere.
 */

import { join } from "node:path";
import { stringify } from "smol-toml";
import { startPostgres } from "../src/demo/postgres.ts";
import { endPointHash } from "../src/tls/end_point_hash.ts";
import { encodePasswordMessage } from "../src/wire/password_message.ts";
import { makeCa, writeFiles } from "../tests/support/pki.ts";
import { connectRawTls, TERMINATE } from "../tests/support/raw_client.ts";
import { userlistOf } from "../tests/support/scram.ts";
import {
  logIn,
  readAuthentication,
  readMessage,
  readSuccess,
  startupOf,
} from "../tests/support/scram_client.ts";
import { freePort } from "../src/demo/ports.ts";
import { killAll, ServerProcess } from "./process.ts";

const MODES = ["passthrough", "scram", "password"] as const;
const [rounds = 8, logins = 100] = Deno.args.map(Number);

const ca = makeCa({ name: "bench CA" });
const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });
const binding = { kind: "bound", endPointHash: endPointHash(leaf.der)! } as const;

await using stack = new AsyncDisposableStack();
stack.defer(killAll);
const postgres = stack.use(
  await startPostgres({
    hba: ["hostssl all all 127.0.0.1/32 scram-sha-256"],
    initSql: ["CREATE ROLE alice LOGIN PASSWORD 'secret'", "CREATE DATABASE demo"],
    tls: { cert: leaf.chainPem, key: leaf.keyPem },
  }),
);
const ports = [await freePort(), await freePort(), await freePort()];
const server = stack.use(await startPgtls());
const costs: number[][] = MODES.map(() => []);
for (let round = -1; round < rounds; round++) {
  for (const [i, mode] of MODES.entries()) {
    const before = server.cpuMs();
    for (let login = 0; login < logins; login++) await connectOnce(mode, ports[i]!);
    // The first round warms up.
    if (round >= 0) costs[i]!.push((server.cpuMs() - before) / logins);
  }
}
const [base] = costs.map(median);
for (const [i, mode] of MODES.entries()) {
  const cost = median(costs[i]!);
  const all = costs[i]!.map((ms) => ms.toFixed(2)).join(" ");
  console.log(
    `${mode.padEnd(12)} ${cost.toFixed(2)} ms CPU a connection, ${
      (cost / base!).toFixed(2)
    } × passthrough  (${all})`,
  );
}

async function startPgtls(): Promise<ServerProcess> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-logins-" });
  stack.defer(() => Deno.remove(dir, { recursive: true }));
  await writeFiles(dir, { "server.pem": leaf.chainPem, "server.key": leaf.keyPem, "ca.pem": ca.certPem });
  await Deno.writeTextFile(join(dir, "users.txt"), await userlistOf(postgres), { mode: 0o600 });
  const proxy = MODES.map((mode, i) => ({
    listener: { bind_address: `127.0.0.1:${ports[i]}`, server_cert: "server.pem", server_key: "server.key" },
    backend: { address: `127.0.0.1:${postgres.port}`, root_ca: "ca.pem" },
    auth: { mode, ...(mode === "scram" && { auth_file: "users.txt" }) },
  }));
  await Deno.writeTextFile(join(dir, "pgtls.toml"), stringify({ log_level: "error", proxy }));
  const main = new URL("../main.ts", import.meta.url).pathname;
  const args = ["run", "-A", "--quiet", main, "run", "-c", join(dir, "pgtls.toml")];
  return await ServerProcess.start({ command: Deno.execPath(), args, port: ports.at(-1)! });
}

async function connectOnce(mode: (typeof MODES)[number], port: number): Promise<void> {
  await using client = await connectRawTls(port);
  if (mode === "password") {
    await client.send(startupOf("alice"));
    await readAuthentication(client);
    await client.send(encodePasswordMessage(new TextEncoder().encode("secret")));
    await readAuthentication(client);
  } else {
    await readSuccess(client, await logIn(client, { password: "secret", binding }));
  }
  for (let message = await readMessage(client); message.type !== "Z"; message = await readMessage(client));
  await client.send(TERMINATE);
  await client.closed();
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)]! + sorted[Math.ceil((sorted.length - 1) / 2)]!) / 2;
}
