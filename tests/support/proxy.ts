/** pgtls in this process, on free ports, with its events at hand. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { stringify } from "smol-toml";
import { startProxy as start } from "../../src/cli/run.ts";
import type { ConnectionClosed, PgtlsEvent } from "../../src/observe/events.ts";
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
}

/** Starts a proxy from tables; values that are PEM texts are written to files, and the file's name is used. */
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
  top: { readonly admin?: Readonly<Record<string, unknown>> },
): Promise<TestProxy> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-proxy-" });
  try {
    const proxy = await Promise.all(routes.map((route, i) => tablesOf(dir, route, i)));
    const admin = top.admin && { admin: await filesFor(dir, "admin", top.admin) };
    const file = join(dir, "pgtls.toml");
    await Deno.writeTextFile(file, stringify({ ...admin, proxy }));
    return await startFrom(file, dir);
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

async function startFrom(file: string, dir: string): Promise<TestProxy> {
  const events: PgtlsEvent[] = [];
  const watchers = new Set<() => void>();
  const observe = (event: PgtlsEvent) => {
    events.push(event);
    for (const look of watchers) look();
  };
  const { server } = await start(file, { observe });
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

async function tablesOf(dir: string, route: RouteTables, index: number): Promise<Record<string, unknown>> {
  const prefix = `route${index}`;
  const app = `${prefix}.ts`;
  if (route.app !== undefined) await Deno.writeTextFile(join(dir, app), route.app);
  return {
    name: route.name ?? prefix,
    ...(route.app !== undefined && { app }),
    ...route.keys,
    listener: { bind_address: "127.0.0.1:0", ...await filesFor(dir, `${prefix}-listener`, route.listener) },
    backend: await filesFor(dir, `${prefix}-backend`, route.backend),
  };
}

/** Writes each PEM text to a file of its own. */
async function filesFor(dir: string, prefix: string, keys: Readonly<Record<string, unknown>>) {
  const named: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(keys)) {
    const isPem = typeof value === "string" && value.includes("-----BEGIN ");
    named[key] = isPem ? `${prefix}-${key}.pem` : value;
    if (isPem) await Deno.writeTextFile(join(dir, `${prefix}-${key}.pem`), value, { mode: 0o600 });
  }
  return named;
}

const WAIT_MS = 30_000;
