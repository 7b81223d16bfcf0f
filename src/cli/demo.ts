/** `pgtls demo`: PostgreSQL, certificates and pgtls on this machine, until a signal removes them all again. */
import { join } from "node:path";
import pg from "pg";
import { type BackendTls, DATABASE, PROXY, startDemoBackend, USER } from "../demo/backend.ts";
import { type DevelopmentPki, makeDevelopmentPki } from "../demo/certificates.ts";
import { startJanitor } from "../demo/janitor.ts";
import { freePort, isPortFree } from "../demo/ports.ts";
import { configText, type Demo, describeDemo } from "./demo_text.ts";
import { EXIT, reportError } from "./report.ts";

/** The command line of `pgtls demo`. */
export interface DemoOptions {
  /** Where pgtls listens, on 127.0.0.1. @default 6432, or a free port when that is taken */
  readonly port?: number;
}

/** A proxy that is listening. */
export interface DemoProxy {
  readonly addresses: readonly { readonly route: string; readonly host: string; readonly port: number }[];
  stop(): Promise<void>;
}

/** What the demo needs from the rest of pgtls. */
export interface DemoDependencies {
  /** Starts a proxy from a configuration file; resolves when it listens. */
  startProxy(configFile: string): Promise<DemoProxy>;
  /** Resolves at the first SIGINT or SIGTERM; a second one ends the process, and the janitors clean up. */
  stopSignal(): Promise<void>;
}

/** Runs the demo. Gives the exit code, after everything has been stopped and removed: 0 after a signal, 1 if it failed. */
export async function runDemo(options: DemoOptions, dependencies: DemoDependencies): Promise<number> {
  const stopping = new AbortController();
  const stopped = dependencies.stopSignal().then(() => stopping.abort());
  try {
    await using cleanup = new AsyncDisposableStack();
    const demo = await startDemo(options, { ...dependencies, cleanup, signal: stopping.signal });
    console.log(describeDemo(demo).join("\n"));
    await stopped;
    console.log("Stopping pgtls and PostgreSQL");
    return EXIT.ok;
  } catch (error) {
    return error === stopping.signal.reason ? EXIT.ok : reportError(error);
  }
}

interface Start extends DemoDependencies {
  readonly cleanup: AsyncDisposableStack;
  /** Aborted when the demo is to stop, which may be before it has started. */
  readonly signal: AbortSignal;
}

async function startDemo(options: DemoOptions, start: Start): Promise<Demo> {
  const { cleanup, signal } = start;
  const port = choosePort(options);
  const dir = await makeDemoFolder(cleanup);
  // Two CAs: nobody who is trusted on one side of pgtls is trusted on the other.
  console.log(`Making certificates in ${dir}`);
  const pki = await makePki(join(dir, "clients"), USER);
  const backendPki = await makePki(join(dir, "backend"), PROXY);

  signal.throwIfAborted();
  console.log("Starting PostgreSQL");
  const postgres = cleanup.use(await startDemoBackend(backendPki));
  const [row] = await postgres.query("SHOW server_version");

  signal.throwIfAborted();
  console.log("Starting pgtls");
  const configFile = join(dir, "pgtls.toml");
  await Deno.writeTextFile(configFile, configText(port, postgres.port));
  const proxy = await start.startProxy(configFile);
  cleanup.defer(() => proxy.stop());
  const address = proxy.addresses[0];
  if (address === undefined) throw new Error("Cannot run the demo: pgtls listens nowhere");

  signal.throwIfAborted();
  console.log("Logging in through pgtls");
  const backendTls = await logIn(pki, address.port);
  signal.throwIfAborted();
  return { dir, configFile, address, postgres, version: String(row?.server_version), pki, backendTls };
}

function choosePort({ port }: DemoOptions): number {
  if (port === undefined) {
    if (isPortFree(DEFAULT_PORT)) return DEFAULT_PORT;
    const free = freePort();
    console.log(`Port ${DEFAULT_PORT} is taken, using ${free}`);
    return free;
  }
  if (port === 0 || isPortFree(port)) return port === 0 ? freePort() : port;
  throw new Error(
    `Cannot listen on port ${port} of 127.0.0.1: it is taken or not allowed, expected a free port`,
  );
}

/** Removed by `cleanup`, and by a janitor if this process is killed: private keys must not stay behind. */
async function makeDemoFolder(cleanup: AsyncDisposableStack): Promise<string> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-demo-" });
  const janitor = startJanitor(dir);
  cleanup.defer(async () => {
    await Deno.remove(dir, { recursive: true });
    await janitor.dismiss();
  });
  return dir;
}

function makePki(dir: string, client: string): Promise<DevelopmentPki> {
  return makeDevelopmentPki({ dir, hosts: HOSTS, clients: [client], caName: `pgtls demo CA for ${client}` });
}

/** Proves that what is printed works, before it is printed. */
async function logIn(pki: DevelopmentPki, port: number): Promise<BackendTls> {
  const [client] = pki.clients;
  const session = new pg.Client({
    host: "127.0.0.1",
    port,
    user: USER,
    database: DATABASE,
    connectionTimeoutMillis: LOGIN_TIMEOUT_MS,
    ssl: {
      ca: await Deno.readTextFile(pki.ca.cert),
      cert: await Deno.readTextFile(client?.cert ?? ""),
      key: await Deno.readTextFile(client?.key ?? ""),
      servername: "localhost",
    },
  });
  try {
    await session.connect();
    const { rows } = await session.query("SELECT version, cipher, client_dn FROM backend_tls");
    return rows[0];
  } catch (error) {
    throw new Error(`Could not log in through pgtls: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  } finally {
    await session.end();
  }
}

const HOSTS = ["localhost", "127.0.0.1", "::1"];

const DEFAULT_PORT = 6432;
const LOGIN_TIMEOUT_MS = 15_000;
