/** Who is measured: a proxy process for each contestant, started the way its users start it. */

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "smol-toml";
import { freePort } from "../src/demo/ports.ts";
import { poolersAndBalancers } from "./peers.ts";
import { type ServerCommand, ServerProcess } from "./process.ts";
import type { Target } from "./programs.ts";
import type { Stage } from "./stage.ts";

/** What is behind the proxy: which PostgreSQL, and how many CAs are trusted to vouch for it. */
export type BackendKind = "plaintext" | "one_ca" | "many_cas";

/** A proxy that can be started, again and again. */
export interface Proxy {
  readonly name: string;
  /** How its clients connect. */
  readonly sslmode: Target["sslmode"];
  start(backend: BackendKind): Promise<ServerProcess>;
}

/** Where the clients of a started proxy connect to. */
export function through({ sslmode }: Proxy, { port }: ServerProcess): Target {
  return { port, sslmode };
}

/** pgtls of this tree, pgtls of the other trees asked for, and of the peers named those that are installed. */
export function proxies(stage: Stage, peers: readonly string[]): readonly Proxy[] {
  const { also, programs: { stunnel } } = stage;
  const others = [...(stunnel === null ? [] : [stunnelProxy(stage, stunnel)]), ...poolersAndBalancers(stage)];
  return [
    pgtls(stage, PGTLS),
    ...also.map((main, i) =>
      pgtls(stage, also.length === 1 ? "pgtls (other)" : `pgtls (other ${i + 1})`, { main })
    ),
    ...others.filter(({ name }) => peers.includes(name)),
  ];
}

/** The names by which figures compare. */
export const PGTLS = "pgtls";
export const STUNNEL = "stunnel";
export const DIRECT = "direct";

/** Options of {@linkcode pgtls}. */
export interface PgtlsOptions {
  /** The main.ts to run. @default this tree's */
  readonly main?: string;
  /** Keys of the configuration beside the route. */
  readonly config?: () => Record<string, unknown>;
  /** What the route's backend is without TLS. @default the stage's PostgreSQL */
  readonly plainPort?: number;
}

/** pgtls, as `deno task start` of its tree starts it. */
export function pgtls(stage: Stage, name: string, options: PgtlsOptions = {}): Proxy {
  const { main = THIS_TREE, config, plainPort = stage.plain.port } = options;
  return {
    name,
    sslmode: "require",
    start: async (backend) => {
      const port = freePort();
      const tables = { ...config?.(), proxy: [pgtlsRoute({ ...stage, plainPort }, backend, port)] };
      const file = await writeFile(stage, `pgtls-${port}.toml`, stringify(tables));
      return await ServerProcess.start(await pgtlsCommand(main, file, port));
    },
  };
}

/** The main.ts of this tree. */
export const THIS_TREE = fileURLToPath(new URL("../main.ts", import.meta.url));

/** What the task of the tree says, with the program started directly: a task runner is not what is measured. */
export async function pgtlsCommand(main: string, file: string, port: number): Promise<ServerCommand> {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(dirname(main), "deno.json")));
  const flags: string[] = tasks.start.command.split(" ").slice(2, -1);
  return { command: Deno.execPath(), args: ["run", ...flags, main, "run", "-c", file], port };
}

function pgtlsRoute(
  { files, plainPort, tls }: Pick<Stage, "files" | "tls"> & { readonly plainPort: number },
  backend: BackendKind,
  port: number,
): Record<string, unknown> {
  const { serverCert, serverKey, oneCa, manyCas } = files;
  const listener = { bind_address: `127.0.0.1:${port}`, server_cert: serverCert, server_key: serverKey };
  if (backend === "plaintext") {
    return { listener, backend: { address: `127.0.0.1:${plainPort}`, tls_enabled: false } };
  }
  const root_ca = backend === "one_ca" ? oneCa : manyCas;
  return { listener, backend: { address: `127.0.0.1:${tls.port}`, server_name: "localhost", root_ca } };
}

function stunnelProxy(stage: Stage, program: string): Proxy {
  return {
    name: STUNNEL,
    sslmode: "require",
    start: async (backend) => {
      const port = freePort();
      const file = await writeFile(stage, `stunnel-${port}.conf`, stunnelServices(stage, backend, port));
      return await ServerProcess.start({ command: program, args: [file], port });
    },
  };
}

/** Towards a TLS backend it takes two services, one for each leg, joined by a plaintext connection on loopback. */
function stunnelServices({ files, plain, tls }: Stage, backend: BackendKind, port: number): string {
  const { serverCert, serverKey, oneCa, manyCas } = files;
  const middle = backend === "plaintext" ? plain.port : freePort();
  const global = { foreground: "yes", pid: "" };
  const front = {
    accept: local(port),
    connect: local(middle),
    protocol: "pgsql",
    cert: serverCert,
    key: serverKey,
  };
  const back = {
    client: "yes",
    accept: local(middle),
    connect: local(tls.port),
    protocol: "pgsql",
    CAfile: backend === "one_ca" ? oneCa : manyCas,
    verifyChain: "yes",
    checkHost: "localhost",
  };
  const services = backend === "plaintext" ? { front } : { back, front };
  const sections = Object.entries(services).map(([name, keys]) => `[${name}]\n${settings(keys)}`);
  return [settings(global), ...NO_DELAY, ...sections, ""].join("\n");
}

function settings(keys: Readonly<Record<string, string>>): string {
  return Object.entries(keys).map(([name, value]) => `${name} = ${value}`).join("\n");
}

function local(port: number): string {
  return `127.0.0.1:${port}`;
}

/** Writes one of the stage's files; returns its path. */
export async function writeFile(stage: Stage, name: string, text: string): Promise<string> {
  const path = join(stage.dir, name);
  await Deno.writeTextFile(path, text);
  return path;
}

// What pgtls does on its sockets by itself.
const NO_DELAY = ["socket = l:TCP_NODELAY=1", "socket = r:TCP_NODELAY=1"];
