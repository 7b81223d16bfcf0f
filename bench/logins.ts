/** CPU of pgtls for one new connection, by who sees to its login: `auth.mode`. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "smol-toml";
import { freePort } from "../src/demo/ports.ts";
import { type PostgresServer, startPostgres } from "../src/demo/postgres.ts";
import { userlistOf } from "../tests/support/scram.ts";
import { pgtlsCommand, writeFile } from "./contestants.ts";
import type { Contestant, Figure } from "./figure.ts";
import { ServerProcess } from "./process.ts";
import { runClient } from "./programs.ts";
import type { Stage } from "./stage.ts";

const MODES = ["passthrough", "scram", "password"] as const;
type Mode = (typeof MODES)[number];

/**
 * pgbench -C towards a PostgreSQL that asks for SCRAM: TLS on both legs, with the same certificate, so that the client
 * binds its login to it in `passthrough`, too. What the client's password costs the client is not counted.
 */
export const logins: Figure = {
  name: "logins",
  title: "Logins: pgbench -C, 2 clients with SCRAM, TLS on both legs, workers = 1, by auth.mode",
  metrics: [{ key: "cpu", title: "CPU ms a connection", digits: 2 }],
  comparisons: MODES.slice(1).map((mode) => ({ of: mode, to: MODES[0], metric: "cpu" })),
  open,
};

async function open(stage: Stage, stack: AsyncDisposableStack): Promise<readonly Contestant[]> {
  const { serverCert, serverKey } = stage.files;
  const [cert, key] = [await Deno.readTextFile(serverCert), await Deno.readTextFile(serverKey)];
  const postgres = stack.use(
    await startPostgres({
      hba: ["hostssl all all 127.0.0.1/32 scram-sha-256"],
      initSql: [`CREATE ROLE ${USER} LOGIN PASSWORD '${PASSWORD}'`],
      tls: { cert, key },
    }),
  );
  const users = await writeFile(stage, "logins-users.txt", await userlistOf(postgres));
  await Deno.chmod(users, 0o600);
  const mains = [fileURLToPath(new URL("../main.ts", import.meta.url)), ...stage.also];
  const contestants: Contestant[] = [];
  for (const [i, main] of mains.entries()) {
    const ports = MODES.map(() => freePort());
    const server = stack.use(await startPgtls(stage, { main, ports, postgres, users }));
    for (const [turn, mode] of MODES.entries()) {
      const port = ports[turn]!;
      await reconnect(stage, { mode, port, count: WARM_UP_CONNECTIONS });
      contestants.push({
        name: i === 0 ? mode : `${mode} (other${mains.length > 2 ? ` ${i}` : ""})`,
        measure: async () => {
          const count = stage.effort.connections;
          const before = server.cpuMs();
          await reconnect(stage, { mode, port, count });
          return { cpu: (server.cpuMs() - before) / count };
        },
      });
    }
  }
  return contestants;
}

interface PgtlsOptions {
  readonly main: string;
  /** One for each of {@linkcode MODES}. */
  readonly ports: readonly number[];
  readonly postgres: PostgresServer;
  /** The `auth_file`. */
  readonly users: string;
}

async function startPgtls(
  { dir, files: { serverCert, serverKey, oneCa } }: Stage,
  { main, ports, postgres, users }: PgtlsOptions,
): Promise<ServerProcess> {
  const proxy = MODES.map((mode, i) => ({
    listener: { bind_address: `127.0.0.1:${ports[i]}`, server_cert: serverCert, server_key: serverKey },
    backend: { address: `127.0.0.1:${postgres.port}`, server_name: "localhost", root_ca: oneCa },
    auth: { mode, ...(mode === "scram" && { auth_file: users }) },
  }));
  const file = join(dir, `pgtls-${ports[0]}.toml`);
  await Deno.writeTextFile(file, stringify({ workers: 1, proxy }));
  return await ServerProcess.start(await pgtlsCommand(main, file, ports.at(-1)!));
}

interface Connections {
  readonly mode: Mode;
  readonly port: number;
  readonly count: number;
}

/** In mode `password` the client is asked for its password; in the others it must bind its login. */
async function reconnect({ programs, dir }: Stage, { mode, port, count }: Connections): Promise<void> {
  const script = join(dir, "logins.sql");
  await Deno.writeTextFile(script, "SELECT 1;\n");
  const binding = mode === "password" ? "disable" : "require";
  const where = `dbname=postgres user=${USER} password=${PASSWORD} channel_binding=${binding}`;
  const args = ["-n", "-C", "-f", script, "-c", "2", "-j", "2", "-t", String(Math.ceil(count / 2)), where];
  await runClient(programs.pgbench, { target: { port, sslmode: "require" }, args, stdout: "null" });
}

const USER = "alice";
const PASSWORD = "correct-horse-battery-staple";

// Until V8 has compiled what a login runs through, which takes longer where more of it is ours.
const WARM_UP_CONNECTIONS = 1_000;
