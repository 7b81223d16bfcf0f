/** A real PostgreSQL server for the demo and for tests, removed without a trace when it stops. */
import { join } from "node:path";
import pg from "pg";
import { commandOptions } from "./account.ts";
import { type PostgresOptions, writeCluster } from "./cluster_files.ts";
import { freePort } from "./ports.ts";
import { acquireWorkspace, type Workspace } from "./workspace.ts";

export type { PostgresOptions };

/** A server that accepts connections. Dispose of it (`await using`) or call {@linkcode PostgresServer.stop}. */
export interface PostgresServer extends AsyncDisposable {
  readonly host: "127.0.0.1";
  readonly port: number;
  /** Its data directory. */
  readonly dir: string;
  /** Its unix socket; its pg_hba.conf lines are the `local` ones. */
  readonly socketPath: string;
  readonly superuser: "postgres";
  /** The process ID of the postmaster. */
  readonly pid: number;
  /** The server log, at most the last `LOG_CHARS` of it. */
  logs(): string;
  /** Runs a statement as superuser over the unix socket. `database` is `postgres` unless given. */
  query(text: string, database?: string): Promise<Record<string, unknown>[]>;
  /** Ends all sessions and starts again on the same port with the same data. */
  restart(): Promise<void>;
  /** Fast shutdown; resolves when the process has ended and its folder is gone. May be called twice. */
  stop(): Promise<void>;
}

/**
 * Starts a PostgreSQL server on 127.0.0.1 and waits until it accepts connections.
 *
 * Also works for root: the server runs as `nobody` then. Settings are for speed, not for keeping data (fsync is off).
 * If this process is killed, a helper process stops the server and removes the files.
 *
 * @throws {Error} If there is no PostgreSQL, the port is taken, or the server refuses its configuration (with its log).
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const workspace = await acquireWorkspace();
  const server = new RunningPostgres(workspace, options);
  try {
    await server.start();
    for (const statement of options.initSql ?? []) await server.query(statement);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

class RunningPostgres implements PostgresServer {
  readonly host = "127.0.0.1";
  readonly superuser = "postgres";
  port = 0;
  dir = "";
  readonly #workspace: Workspace;
  readonly #options: PostgresOptions;
  #child: Deno.ChildProcess | null = null;
  #log = "";
  #stopped: Promise<void> | null = null;

  constructor(workspace: Workspace, options: PostgresOptions) {
    this.#workspace = workspace;
    this.#options = options;
  }

  get socketPath(): string {
    return join(this.dir, `.s.PGSQL.${this.port}`);
  }

  get pid(): number {
    if (this.#child === null) throw new Error("Cannot tell the process ID: PostgreSQL is not running");
    return this.#child.pid;
  }

  logs(): string {
    return this.#log;
  }

  async start(): Promise<void> {
    this.dir = await this.#workspace.newCluster();
    await writeCluster(this.#options, { dir: this.dir, account: this.#workspace.account });
    for (let attempt = 1;; attempt++) {
      this.port = this.#options.port ?? freePort();
      if (await this.#launch()) return;
      // Somebody else took the port between freePort() and the server's own bind.
      const mayRetry = this.#options.port === undefined && attempt < PORT_ATTEMPTS;
      if (!mayRetry || !this.#log.includes("Address already in use")) {
        throw new Error(`Could not start PostgreSQL on port ${this.port}: it ended\n${this.#log}`);
      }
    }
  }

  async query(text: string, database = "postgres"): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ host: this.dir, port: this.port, user: this.superuser, database });
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  }

  async restart(): Promise<void> {
    await this.#shutDown();
    if (!await this.#launch()) throw new Error(`Could not restart PostgreSQL: it ended\n${this.#log}`);
  }

  stop(): Promise<void> {
    return this.#stopped ??= this.#remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #remove(): Promise<void> {
    await this.#shutDown();
    if (this.dir !== "") await Deno.remove(this.dir, { recursive: true });
    await this.#workspace.release();
  }

  /** Starts the process; `true` once it accepts connections, `false` if it ended instead. */
  async #launch(): Promise<boolean> {
    this.#child = new Deno.Command(this.#workspace.postgres, {
      args: ["-D", this.dir, "-p", String(this.port)],
      ...commandOptions(this.#workspace.account),
      stdout: "null",
      stderr: "piped",
      // In a process group of its own: a Ctrl-C in the terminal is for us, who stop the server last.
      detached: true,
    }).spawn();
    const ready = await this.#followLog(this.#child.stderr);
    if (!ready) this.#child = await this.#child.status.then(() => null);
    return ready;
  }

  /** Collects the log from now on. Resolves at the line that says the server is ready, or at the end of the log. */
  #followLog(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<boolean> {
    return new Promise((resolve) => {
      let recent = "";
      const collector = new WritableStream<string>({
        write: (text) => {
          this.#log = (this.#log + text).slice(-LOG_CHARS);
          recent = (recent + text).slice(-READY_WINDOW_CHARS);
          if (recent.includes("database system is ready to accept connections")) resolve(true);
        },
      });
      const ended = stream.pipeThrough(new TextDecoderStream()).pipeTo(collector);
      ended.then(() => resolve(false), () => resolve(false));
    });
  }

  async #shutDown(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#child = null;
    signal(child, "SIGINT");
    const timer = setTimeout(() => signal(child, "SIGQUIT"), FAST_SHUTDOWN_MS);
    await child.status;
    clearTimeout(timer);
  }
}

function signal(child: Deno.ChildProcess, name: Deno.Signal): void {
  try {
    child.kill(name);
  } catch {
    // It has ended by itself.
  }
}

const PORT_ATTEMPTS = 5;

/** How long open sessions may delay a shutdown. */
const FAST_SHUTDOWN_MS = 10_000;

/** Enough to see what happened, bounded because a demo may run for days. */
const LOG_CHARS = 1_000_000;

/** Longer than the line looked for, which may arrive in two pieces. */
const READY_WINDOW_CHARS = 1000;
