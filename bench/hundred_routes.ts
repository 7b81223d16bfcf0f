/** pgtls with a hundred routes, each with files of its own, and new ones to put in their place. */

import { join } from "node:path";
import { stringify } from "smol-toml";
import { issueCertificate, type IssuedCertificate } from "../src/demo/issuer.ts";
import { freePort } from "../src/demo/ports.ts";
import { pgtlsCommand, THIS_TREE } from "./contestants.ts";
import { ServerProcess } from "./process.ts";
import { type Stage, validity } from "./stage.ts";

/** How many routes that is. */
export const ROUTES = 100;

/** Options of {@linkcode HundredRoutes.start}. */
export interface RoutesOptions {
  readonly workers: number | "auto";
  /** Whether the client CA of each route stands in a bundle of its own, behind those of {@linkcode StageFiles.manyCas}. */
  readonly hasBundles: boolean;
}

/** A pgtls that is listening on {@linkcode ROUTES} ports, with an admin server. Dispose of it with `await using`. */
export class HundredRoutes implements AsyncDisposable {
  readonly ports: readonly number[];
  readonly #adminPort: number;
  readonly #files: RouteFiles;
  readonly #server: ServerProcess;
  #generations = 0;

  private constructor(
    options: { readonly ports: readonly number[]; readonly adminPort: number; readonly files: RouteFiles },
    server: ServerProcess,
  ) {
    this.ports = options.ports;
    this.#adminPort = options.adminPort;
    this.#files = options.files;
    this.#server = server;
  }

  static async start(stage: Stage, { workers, hasBundles }: RoutesOptions): Promise<HundredRoutes> {
    const [adminPort, ...ports] = freePorts(ROUTES + 1) as [number, ...number[]];
    const dir = join(stage.dir, `routes-${adminPort}`);
    await Deno.mkdir(dir);
    const files = { dir, otherCas: hasBundles ? await Deno.readTextFile(stage.files.manyCas) : "" };
    await writeMaterial(files, 0);
    // So that nothing is issued under load.
    for (const issue of MATERIAL) issue();
    const file = join(dir, "pgtls.toml");
    const admin = { bind_address: `127.0.0.1:${adminPort}` };
    const proxy = ports.map((port, i) => route(i, port, stage.plain.port));
    await Deno.writeTextFile(file, stringify({ workers, log_level: "warn", admin, proxy }));
    const server = await ServerProcess.start(await pgtlsCommand(THIS_TREE, file, ports.at(-1)!));
    return new HundredRoutes({ ports, adminPort, files }, server);
  }

  /** Writes another certificate, key and CA for every route, over those that are there. */
  async renew(): Promise<void> {
    await writeMaterial(this.#files, ++this.#generations);
  }

  hangUp(): void {
    this.#server.signal("SIGHUP");
  }

  /** @throws {Error} If not everything could be taken into use. */
  async postReload(): Promise<void> {
    const response = await fetch(`http://127.0.0.1:${this.#adminPort}/reload`, { method: "POST" });
    const text = await response.text();
    if (!response.ok) throw new Error(`Could not reload: ${response.status} ${text.slice(0, 500)}`);
  }

  /** How often something has come into use. */
  async generation(): Promise<number> {
    const metrics = await (await fetch(`http://127.0.0.1:${this.#adminPort}/metrics`)).text();
    return Number(metrics.match(/^pgtls_generation (\d+)$/m)?.[1] ?? NaN);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server[Symbol.asyncDispose]();
  }
}

function route(index: number, port: number, backendPort: number): Record<string, unknown> {
  return {
    name: `route ${index}`,
    listener: {
      bind_address: `127.0.0.1:${port}`,
      server_cert: `${index}.pem`,
      server_key: `${index}.key`,
      mtls: "optional",
      client_ca: `${index}.ca`,
    },
    backend: { address: `127.0.0.1:${backendPort}`, tls_enabled: false },
  };
}

/** Where the files of the routes are, and what stands in front of each route's client CA. */
interface RouteFiles {
  readonly dir: string;
  readonly otherCas: string;
}

async function writeMaterial({ dir, otherCas }: RouteFiles, generation: number): Promise<void> {
  const material = MATERIAL[generation % MATERIAL.length]!();
  for (const [i, { ca, leaf }] of material.entries()) {
    await Deno.writeTextFile(join(dir, `${i}.pem`), leaf.certPem);
    await Deno.writeTextFile(join(dir, `${i}.key`), leaf.keyPem, { mode: 0o600 });
    await Deno.writeTextFile(join(dir, `${i}.ca`), otherCas + ca.certPem);
  }
}

interface Material {
  readonly ca: IssuedCertificate;
  readonly leaf: IssuedCertificate;
}

function issueAll(): readonly Material[] {
  return Array.from({ length: ROUTES }, () => {
    const ca = issueCertificate({ name: "route CA", purpose: "ca", ...validity() });
    const request = { name: "localhost", purpose: "server", sans: ["localhost"], ...validity() } as const;
    return { ca, leaf: issueCertificate(request, ca) };
  });
}

function once<Value>(make: () => Value): () => Value {
  let made: Value | undefined;
  return () => made ??= make();
}

/** A port may be free twice in a row. */
function freePorts(count: number): number[] {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(freePort());
  return [...ports];
}

/** Two are enough to change from one to the other and back. */
const MATERIAL = [once(issueAll), once(issueAll)];
