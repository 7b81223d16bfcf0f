/** The folder that all PostgreSQL servers of this process share: programs, one initialised cluster, its copies. */
import { join } from "node:path";
import { type Account, makeReachableTempDir, runAs, serverAccount } from "./account.ts";
import { findPostgres } from "./binaries.ts";
import { installPostgres } from "./install.ts";
import { type Janitor, startJanitor } from "./janitor.ts";

/** A place for servers. Exists from the first {@linkcode acquireWorkspace} to the last {@linkcode Workspace.release}. */
export interface Workspace {
  /** Who owns the clusters and runs the servers; `null`: the account of this process. */
  readonly account: Account | null;
  /** The path of the `postgres` program. */
  readonly postgres: string;
  /** Makes a data directory: superuser `postgres`, UTF-8. It stays when the workspace does. */
  newCluster(): Promise<string>;
  /** Gives the workspace back; the last user removes it. */
  release(): Promise<void>;
}

/**
 * Gives the workspace of this process, making it if there is none.
 *
 * @throws {Error} If there is no PostgreSQL or initdb fails; nothing is left behind then.
 */
export async function acquireWorkspace(): Promise<Workspace> {
  const current: Shared = shared ?? { users: 0, workspace: SharedWorkspace.create(() => release(current)) };
  shared = current;
  current.users++;
  try {
    return await current.workspace;
  } catch (error) {
    await release(current);
    throw error;
  }
}

interface Shared {
  users: number;
  readonly workspace: Promise<SharedWorkspace>;
}

/** initdb takes 0.8 s, a copy of its result 60 ms: one for all servers that run at the same time. */
let shared: Shared | null = null;

async function release(current: Shared): Promise<void> {
  current.users--;
  if (current.users > 0) return;
  if (shared === current) shared = null;
  const workspace = await current.workspace.catch(() => null);
  await workspace?.remove();
}

class SharedWorkspace implements Workspace {
  readonly account: Account | null;
  readonly postgres: string;
  readonly release: () => Promise<void>;
  readonly #dir: string;
  readonly #janitor: Janitor;
  #clusters = 0;

  private constructor(dir: string, account: Account | null, bin: string, release: () => Promise<void>) {
    this.account = account;
    this.postgres = join(bin, "postgres");
    this.release = release;
    this.#dir = dir;
    this.#janitor = startJanitor(dir);
  }

  static async create(release: () => Promise<void>): Promise<SharedWorkspace> {
    const found = findPostgres();
    const account = await serverAccount();
    const dir = await makeReachableTempDir(account, "pgtls-pg-");
    const bin = found.source === "npm" ? join(dir, "native", "bin") : found.bin;
    const workspace = new SharedWorkspace(dir, account, bin, release);
    try {
      if (found.source === "npm") await installPostgres(found.root, join(dir, "native"));
      await workspace.#initialise(join(bin, "initdb"));
      return workspace;
    } catch (error) {
      await workspace.remove();
      throw error;
    }
  }

  async newCluster(): Promise<string> {
    const target = join(this.#dir, CLUSTERS, String(++this.#clusters));
    await runAs(this.account, "cp", ["-Rp", join(this.#dir, CLUSTERS, TEMPLATE), target]);
    return target;
  }

  async remove(): Promise<void> {
    await Deno.remove(this.#dir, { recursive: true });
    await this.#janitor.dismiss();
  }

  async #initialise(initdb: string): Promise<void> {
    const clusters = join(this.#dir, CLUSTERS);
    await Deno.mkdir(clusters, { mode: 0o700 });
    if (this.account !== null) await Deno.chown(clusters, this.account.uid, this.account.gid);
    // trust: what the clusters really accept is written to pg_hba.conf before a server starts.
    const options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
    await runAs(this.account, initdb, [...options, "-D", join(clusters, TEMPLATE)]);
  }
}

const CLUSTERS = "clusters";
const TEMPLATE = "template";
