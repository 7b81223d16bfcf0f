/** Debian's pgbench and psql, as a user runs them: what they need to be found, run and understood. */

import { kill, track } from "./process.ts";

/** Where the programs are. */
export interface Programs {
  readonly pgbench: string;
  readonly psql: string;
  /** The peers: `null` when it is not installed, which leaves it out. */
  readonly stunnel: string | null;
  readonly pgbouncer: string | null;
  readonly haproxy: string | null;
}

/** How a program of PostgreSQL's connects: to 127.0.0.1 as the superuser. */
export interface Target {
  readonly port: number;
  readonly sslmode: "disable" | "require";
}

/** What pgbench counted. */
export interface PgbenchResult {
  readonly transactions: number;
  /** Transactions a second, without the initial connections. */
  readonly tps: number;
}

/**
 * Finds the programs, in PATH and where Debian keeps those of PostgreSQL.
 *
 * @throws {Error} Naming the Debian packages that are missing.
 */
export function findPrograms(): Programs {
  const [pgbench, psql] = [find("pgbench"), find("psql")];
  if (pgbench !== null && psql !== null) {
    const stunnel = find("stunnel4") ?? find("stunnel");
    return { pgbench, psql, stunnel, pgbouncer: find("pgbouncer"), haproxy: find("haproxy") };
  }
  const missing = [
    ...(pgbench === null ? ['pgbench (Debian package "postgresql")'] : []),
    ...(psql === null ? ['psql (Debian package "postgresql-client")'] : []),
  ];
  throw new Error(`Cannot run the benchmark: not found on this machine: ${missing.join(", ")}`);
}

/** The Debian packages of the peers that are not installed. */
export function missingPeers({ stunnel, pgbouncer, haproxy }: Programs): readonly string[] {
  const peers = { stunnel4: stunnel, pgbouncer, haproxy };
  return Object.entries(peers).filter(([, program]) => program === null).map(([name]) => name);
}

/** Runs pgbench to its end. `args` say what; where comes from `target`. */
export async function runPgbench(
  program: string,
  target: Target,
  args: readonly string[],
): Promise<PgbenchResult> {
  const { stdout } = await runClient(program, { target, args: [...args, "postgres"], stdout: "piped" });
  const transactions = stdout.match(/transactions actually processed: (\d+)/)?.[1];
  const tps = stdout.match(/^tps = ([\d.]+)/m)?.[1];
  return { transactions: Number(transactions ?? 0), tps: Number(tps ?? 0) };
}

/** What {@linkcode runClient} runs. */
export interface ClientRun {
  readonly target: Target;
  readonly args: readonly string[];
  readonly stdout: "null" | "piped";
  /** A shell command that writes the program's standard input. @default nothing */
  readonly feed?: string;
}

/**
 * Runs a PostgreSQL client program to its end.
 *
 * @throws {Error} If it does not end with exit code 0. Shows what it printed on standard error.
 */
export async function runClient(program: string, run: ClientRun): Promise<{ readonly stdout: string }> {
  const { target, feed } = run;
  const args = ["-h", "127.0.0.1", "-p", String(target.port), "-U", "postgres", ...run.args];
  const child = new Deno.Command(feed === undefined ? program : "sh", {
    args: feed === undefined ? args : ["-c", `${feed} | "$0" "$@"`, program, ...args],
    clearEnv: true,
    // HOME: no ~/.postgresql of the user's may decide how a program connects.
    env: { PATH: Deno.env.get("PATH") ?? "", HOME: "/nonexistent", LC_ALL: "C", PGSSLMODE: target.sslmode },
    stdin: "null",
    stdout: run.stdout,
    stderr: "piped",
  }).spawn();
  track(child);
  const timer = setTimeout(() => kill(child, "SIGKILL"), CLIENT_TIMEOUT_MS);
  const [status, stdout, stderr] = await Promise.all([
    child.status,
    run.stdout === "piped" ? new Response(child.stdout).text() : "",
    new Response(child.stderr).text(),
  ]);
  clearTimeout(timer);
  if (status.success) return { stdout };
  throw new Error(`Could not run "${program}": exit code ${status.code}\n${stderr.slice(-2_000)}`);
}

function find(program: string): string | null {
  return folders().map((folder) => `${folder}/${program}`).find(isFile) ?? null;
}

/** The folders of PATH, then Debian's for the programs of PostgreSQL's server package, the newest version first. */
function folders(): string[] {
  const onPath = (Deno.env.get("PATH") ?? "").split(":").filter((folder) => folder !== "");
  let versions: string[] = [];
  try {
    versions = [...Deno.readDirSync(DEBIAN_FOLDER)].map((entry) => entry.name);
  } catch {
    // Not Debian, or no server package.
  }
  const newestFirst = versions.sort((a, b) => Number(b) - Number(a));
  return [...onPath, "/usr/sbin", ...newestFirst.map((version) => `${DEBIAN_FOLDER}/${version}/bin`)];
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

const DEBIAN_FOLDER = "/usr/lib/postgresql";

// No single measurement takes a tenth of it: a contestant that hangs ends the run, not the day.
const CLIENT_TIMEOUT_MS = 120_000;
