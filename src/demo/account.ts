/** Who PostgreSQL runs as: initdb and postgres refuse to run as root. */
import { dirname, resolve } from "node:path";

/** A user of the machine, by number. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** The account for PostgreSQL: `nobody` when this process is root, else `null` for the account it already has. */
export async function serverAccount(): Promise<Account | null> {
  if (Deno.uid() !== 0) return null;
  const passwd = await Deno.readTextFile("/etc/passwd").catch(() => "");
  const [, , uid, gid] = passwd.split("\n").find((line) => line.startsWith("nobody:"))?.split(":") ?? [];
  // macOS writes -2 for what the kernel calls 4294967294.
  return { uid: Number(uid ?? NOBODY) >>> 0, gid: Number(gid ?? NOBODY) >>> 0 };
}

/**
 * Makes a temporary folder that `account` can reach, which TMPDIR need not be: it may be inside root's home.
 *
 * @throws {Error} If no folder for temporary files can be reached by it.
 */
export async function makeReachableTempDir(account: Account | null, prefix: string): Promise<string> {
  if (account === null) return await Deno.makeTempDir({ prefix });
  const base = [Deno.env.get("TMPDIR"), "/tmp", "/var/tmp"].find((dir) =>
    dir !== undefined && isOpenToAll(dir)
  );
  if (base === undefined) {
    throw new Error('Cannot start PostgreSQL as root: "/tmp" and "/var/tmp" are closed to other accounts');
  }
  const dir = await Deno.makeTempDir({ dir: resolve(base), prefix });
  // Passing through, not listing: what is inside has its own owner and mode.
  await Deno.chmod(dir, 0o711);
  return dir;
}

/**
 * Runs a program to its end as `account`.
 *
 * @throws {Error} If it does not end with exit code 0. Shows what it printed.
 */
export async function runAs(
  account: Account | null,
  program: string,
  args: readonly string[],
): Promise<void> {
  const output = await new Deno.Command(program, { args: [...args], ...commandOptions(account) }).output();
  if (output.success) return;
  const printed = [output.stdout, output.stderr].map((bytes) => new TextDecoder().decode(bytes)).join("")
    .trim();
  throw new Error(`Could not run "${program}": exit code ${output.code}\n${printed}`);
}

/** What a program of PostgreSQL's is started with: another account, and nothing of the caller's PG* variables. */
export function commandOptions(account: Account | null): Deno.CommandOptions {
  return {
    ...(account ?? {}),
    cwd: "/",
    clearEnv: true,
    // C: readiness is read from the log, which must be in English.
    env: { PATH: Deno.env.get("PATH") ?? "", LC_ALL: "C" },
    stdin: "null",
  };
}

function isOpenToAll(dir: string): boolean {
  for (let path = resolve(dir);; path = dirname(path)) {
    try {
      if (((Deno.statSync(path).mode ?? 0) & OTHERS_MAY_PASS) === 0) return false;
    } catch {
      return false;
    }
    if (path === dirname(path)) return true;
  }
}

const OTHERS_MAY_PASS = 0o001;

/** The number of `nobody` on Linux. */
const NOBODY = "65534";
