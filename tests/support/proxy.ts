/** pgtls in this process, on free ports, with its events at hand. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { stringify } from "smol-toml";
import type { ConnectionClosed, PgtlsEvent } from "../../src/observe/events.ts";
import { RunningProxy } from "../../src/proxy.ts";
import type { ReloadState } from "../../src/observe/reload_state.ts";
import type { Ca, Leaf } from "./pki.ts";

/** TOML tables of one `[[proxy]]`; `bind_address` defaults to a free port of 127.0.0.1. */
export interface RouteTables {
  readonly name?: string;
  /** Source of the route's connection app, in TypeScript; it is written to `ROUTE.ts`. */
  readonly app?: string;
  /** Further keys of the route itself. */
  readonly keys?: Readonly<Record<string, unknown>>;
  readonly listener: Readonly<Record<string, unknown>>;
  readonly backend: Readonly<Record<string, unknown>>;
  readonly auth?: Readonly<Record<string, unknown>>;
}

/** A proxy that is listening. Dispose of it with `await using`. */
export interface TestProxy extends AsyncDisposable {
  /** The port of each route, in the order given. */
  readonly ports: readonly number[];
  /** The port of the admin server. @throws {Error} If there is none. */
  readonly adminPort: number;
  /** Everything observed so far. */
  readonly events: readonly PgtlsEvent[];
  /** The folder of its files; `write` puts further ones there. */
  readonly dir: string;
  /** How many connections are open now. */
  connections(): number;
  /** Waits for the first event that `wanted` picks, among past ones too. */
  waitFor<E extends PgtlsEvent>(wanted: (event: PgtlsEvent) => event is E): Promise<E>;
  /** Waits until `count` connections have closed, and returns their closing lines. */
  closed(count: number): Promise<ConnectionClosed[]>;
  drain(timeoutMs: number): Promise<number>;
  /** The port of a route now; routes may have come and gone since the start. */
  port(route: string): number;
  /** What SIGHUP does. */
  reload(): Promise<ReloadState>;
  /** What the watch does when it has seen a change: only files are taken. */
  refresh(): Promise<ReloadState>;
  /** Rewrites the configuration file from tables, as {@linkcode startTestProxy} wrote it. */
  configure(...routes: readonly RouteTables[]): Promise<void>;
  /** Puts a file in the place of another, under the same name, in one step. Returns its path. */
  replace(name: string, content: string): Promise<string>;
}

/** Starts a proxy from tables; values of several lines are written to files, and the file's name is used. */
export function startTestProxy(...routes: readonly RouteTables[]): Promise<TestProxy> {
  return startFromTables(routes, {});
}

/** As {@linkcode startTestProxy}, with an admin server on a free port; `admin` are its keys but for the address. */
export function startAdminProxy(
  admin: Readonly<Record<string, unknown>>,
  ...routes: readonly RouteTables[]
): Promise<TestProxy> {
  return startFromTables(routes, { admin: { bind_address: "127.0.0.1:0", ...admin } });
}

async function startFromTables(
  routes: readonly RouteTables[],
  top: TopTables,
): Promise<TestProxy> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-proxy-" });
  try {
    return await startFrom(await writeConfig(dir, routes, top), { dir, top });
  } catch (error) {
    await Deno.remove(dir, { recursive: true });
    throw error;
  }
}

/** The listener keys that serve `leaf`, and demand a certificate of `clientCa` if one is given. */
export function listenerKeys(leaf: Leaf, clientCa?: Ca): Record<string, unknown> {
  const keys = { server_cert: leaf.chainPem, server_key: leaf.keyPem };
  return clientCa === undefined ? keys : { ...keys, mtls: true, client_ca: clientCa.certPem };
}

/** Picks events by name. */
export function isEvent<Name extends PgtlsEvent["event"]>(
  name: Name,
): (event: PgtlsEvent) => event is Extract<PgtlsEvent, { readonly event: Name }> {
  return (event): event is Extract<PgtlsEvent, { readonly event: Name }> => event.event === name;
}

/** Keys of the top level, and the tables that are not routes. */
export interface TopTables {
  readonly admin?: Readonly<Record<string, unknown>>;
  /** @default 1: everything in the isolate of the test */
  readonly workers?: number;
  readonly log_level?: string;
  readonly log_format?: string;
}

/** Writes the configuration of {@linkcode startTestProxy} and its PEM files. Returns its path. */
export async function writeConfig(
  dir: string,
  routes: readonly RouteTables[],
  top: TopTables,
): Promise<string> {
  const proxy = await Promise.all(routes.map((route, i) => writeTables(dir, route, i)));
  const admin = top.admin && { admin: await filesFor(dir, "admin", top.admin) };
  return await replaceFile(join(dir, "pgtls.toml"), stringify({ workers: 1, ...top, ...admin, proxy }));
}

async function startFrom(
  file: string,
  { dir, top }: { readonly dir: string; readonly top: TopTables },
): Promise<TestProxy> {
  const events: PgtlsEvent[] = [];
  const watchers = new Set<() => void>();
  const observe = (event: PgtlsEvent) => {
    events.push(event);
    for (const look of watchers) look();
  };
  const server = await RunningProxy.start(file, { observe });
  let isDrained = false;
  const drain = (timeoutMs: number) => {
    isDrained = true;
    return server.drain(timeoutMs);
  };
  return {
    ports: server.addresses.map(({ port }) => port),
    get adminPort() {
      if (server.adminAddress === null) throw new Error("This proxy has no admin server");
      return server.adminAddress.port;
    },
    events,
    dir,
    connections: () => server.connections,
    waitFor: (wanted) => until(watchers, () => events.find(wanted)),
    closed: (count) =>
      until(watchers, () => {
        const closed = events.filter(isEvent("connection.closed"));
        return closed.length >= count ? closed : undefined;
      }),
    drain,
    port: (route) => server.addresses.find((address) => address.route === route)!.port,
    reload: () => server.reload(),
    refresh: () => server.refresh(),
    configure: async (...routes) => void await writeConfig(dir, routes, top),
    replace: (name, content) => replaceFile(join(dir, name), content),
    async [Symbol.asyncDispose]() {
      try {
        if (!isDrained) await drain(0);
        assert.equal(server.connections, 0, "connections left open");
      } finally {
        await Deno.remove(dir, { recursive: true });
      }
    },
  };
}

function until<T>(watchers: Set<() => void>, find: () => T | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const found = find();
      if (found === undefined) return;
      clearTimeout(timer);
      watchers.delete(look);
      resolve(found);
    };
    const timer = setTimeout(() => {
      watchers.delete(look);
      reject(new Error(`Waited ${WAIT_MS} ms for an event that did not come`));
    }, WAIT_MS);
    watchers.add(look);
    look();
  });
}

/** The tables of a route with each PEM text in a file of its own. */
export async function writeTables(
  dir: string,
  route: RouteTables,
  index: number,
): Promise<Record<string, unknown>> {
  const prefix = `route${index}`;
  const app = `${prefix}.ts`;
  if (route.app !== undefined) await Deno.writeTextFile(join(dir, app), route.app);
  return {
    name: route.name ?? prefix,
    ...(route.app !== undefined && { app }),
    ...route.keys,
    listener: { bind_address: "127.0.0.1:0", ...await filesFor(dir, `${prefix}-listener`, route.listener) },
    backend: await filesFor(dir, `${prefix}-backend`, route.backend),
    ...(route.auth && { auth: await filesFor(dir, `${prefix}-auth`, route.auth) }),
  };
}

/** Writes each text of several lines to a file of its own. */
async function filesFor(dir: string, prefix: string, keys: Readonly<Record<string, unknown>>) {
  const named: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(keys)) {
    const isText = typeof value === "string" && value.includes("\n");
    named[key] = isText ? `${prefix}-${key}.pem` : value;
    if (isText) await replaceFile(join(dir, `${prefix}-${key}.pem`), value);
  }
  return named;
}

/** Replaces a file in one step. Readable by the owner alone, whatever it is: a key would be warned of otherwise. */
export async function replaceFile(path: string, content: string): Promise<string> {
  await Deno.writeTextFile(`${path}.new`, content, { mode: 0o600 });
  await Deno.rename(`${path}.new`, path);
  return path;
}

const WAIT_MS = 60_000;
