/**
 * Certificates, keys and CA bundles of a route, read and checked together, before any of them is used.
 *
 * Everything wrong is reported in one run. What comes out can be handed to TLS as it is.
 */

import type { FileReader } from "../config/snapshot.ts";
import type {
  AdminConfig,
  BackendConfig,
  BackendFiles,
  ListenerFiles,
  RouteConfig,
  TableFiles,
} from "../config/types.ts";
import type { Problem } from "../errors.ts";
import { type ChainPurpose, type OwnChain, readChain } from "./material_chain.ts";
import { type PemFile, PemFiles, type Report, reportAt } from "./material_file.ts";
import { type PrivateKey, readPrivateKey } from "./material_key.ts";
import { type TrustSource, TrustStores } from "./material_trust.ts";
import type { BackendPolicy, ClientPolicy } from "./verify.ts";

/** What a listener needs for TLS. */
export interface ListenerMaterial {
  /** The whole chain, leaf first, nothing else. */
  readonly certPem: string;
  readonly keyPem: string;
  /** The leaf, DER. */
  readonly leafDer: Uint8Array;
  /** The whole chain, DER, leaf first. */
  readonly chainDer: readonly Uint8Array[];
  readonly clientPolicy: ClientPolicy;
}

/** What the backend leg needs for TLS. */
export interface BackendMaterial {
  /** The chain pgtls shows, leaf first; `null` if it has none to show. */
  readonly certPem: string | null;
  readonly keyPem: string | null;
  /** The same chain, DER; empty if it has none to show. */
  readonly chainDer: readonly Uint8Array[];
  readonly policy: BackendPolicy;
}

/** The material of one route; `null` on a leg that is plaintext. */
export interface RouteMaterial {
  readonly listener: ListenerMaterial | null;
  readonly backend: BackendMaterial | null;
}

/** Material, or what is wrong with its files. */
export type Loading<Value> =
  | { readonly ok: true; readonly value: Value; readonly warnings: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Where a load reads. */
export interface Source {
  readonly files: FileReader;
  /** Milliseconds since 1970; by default the present. */
  readonly now?: number;
}

/** Makes material of files. One for the life of the process: what has not changed is not made again. */
export class MaterialLoader {
  readonly #pem = new PemFiles();
  readonly #trust = new TrustStores(this.#pem);

  /**
   * Reads the CA bundles of a route bit by bit, so that {@linkcode MaterialLoader.route} has little left to do when it is
   * called next. Reports nothing.
   *
   * @param options.rest Waited for after each bit.
   */
  async prepare(
    { listener, backend }: RouteConfig,
    options: Source & { readonly rest: () => Promise<void> },
  ): Promise<void> {
    for (const path of [listener.clientCa, backend.rootCa]) {
      if (path !== null && path !== "system") await this.#trust.prepare(path, options);
    }
  }

  /** Both legs of a route. */
  route({ name, index, listener, backend }: RouteConfig, source: Source): Loading<RouteMaterial> {
    const path = `proxy[${index}]`;
    const loading = this.#load(source, (load) => ({
      listener: load.listener(listener, { path: `${path}.listener`, route: name }),
      backend: load.backend(backend, { path: `${path}.backend`, route: name }),
    }));
    this.#trust.settle();
    return loading;
  }

  /** The admin server's; `null` without TLS. */
  admin(config: AdminConfig, source: Source): Loading<ListenerMaterial | null> {
    const files = { ...config, clientCrl: null };
    return this.#load(source, (load) => load.listener(files, { path: "admin" }));
  }

  /** What is wrong with the files of a configuration that is wrong itself, so that one run names every problem. */
  problems(tables: readonly TableFiles[], source: Source): readonly Problem[] {
    const load = new Load(this.#pem, this.#trust, source);
    for (const table of tables) {
      if ("listener" in table) load.listener(table.listener, table.place);
      else if ("backend" in table) {
        load.backend({ ...table.backend, tlsVerify: "full", serverName: null }, table.place);
      }
    }
    return load.problems;
  }

  #load<Value>(source: Source, make: (load: Load) => Value): Loading<Value> {
    const load = new Load(this.#pem, this.#trust, source);
    const value = make(load);
    const { problems, warnings } = load;
    return problems.length > 0 ? { ok: false, problems } : { ok: true, value, warnings };
  }
}

interface Place {
  readonly path: string;
  readonly route?: string;
}

/** One load: what was found wrong so far. Its methods return `null` also after a problem. */
class Load {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #pem: PemFiles;
  readonly #trust: TrustStores;
  readonly #files: FileReader;
  readonly #now: number;

  constructor(pem: PemFiles, trust: TrustStores, { files, now = Date.now() }: Source) {
    this.#pem = pem;
    this.#trust = trust;
    this.#files = files;
    this.#now = now;
  }

  listener(files: ListenerFiles, place: Place): ListenerMaterial | null {
    const { serverCert, serverKey, mtls, clientCa, clientCrl } = files;
    const identity = this.#identity(serverCert, serverKey, {
      purpose: "server",
      certReport: this.#at(place, "server_cert"),
      keyReport: this.#at(place, "server_key"),
    });
    const reports = { ca: this.#at(place, "client_ca"), crl: this.#at(place, "client_crl") };
    const trust = clientCa === null
      ? null
      : this.#trust.forClients({ ca: clientCa, crl: clientCrl }, reports, this.#source());
    if (identity === null) return null;
    const { chain, key } = identity;
    const clientPolicy = { mtls, trust };
    return { certPem: chain.pem, keyPem: key.pem, leafDer: chain.der[0]!, chainDer: chain.der, clientPolicy };
  }

  backend(
    files: BackendFiles & Pick<BackendConfig, "tlsVerify" | "serverName">,
    place: Place,
  ): BackendMaterial | null {
    if (files.rootCa === null) return null;
    const identity = this.#identity(files.clientCert, files.clientKey, {
      purpose: "client",
      certReport: this.#at(place, "client_cert"),
      keyReport: this.#at(place, "client_key"),
    });
    const trust = this.#trust.forBackend(files.rootCa, this.#at(place, "root_ca"), this.#source());
    if (trust === null || files.serverName === null) return null;
    return {
      certPem: identity?.chain.pem ?? null,
      keyPem: identity?.key.pem ?? null,
      chainDer: identity?.chain.der ?? [],
      policy: { trust, tlsVerify: files.tlsVerify, serverName: files.serverName },
    };
  }

  #identity(
    cert: string | null,
    key: string | null,
    options: { readonly purpose: ChainPurpose; readonly certReport: Report; readonly keyReport: Report },
  ): { chain: OwnChain; key: PrivateKey } | null {
    if (cert === null || key === null) return null;
    const { purpose, certReport, keyReport } = options;
    const certFile = this.#read(cert, certReport);
    const chain = certFile && readChain(certFile, { purpose, now: this.#now, report: certReport });
    const keyFile = this.#read(key, keyReport);
    const privateKey = keyFile && readPrivateKey(keyFile, keyReport);
    if (chain === null || privateKey === null) return null;
    if (isPair(chain, privateKey)) return { chain, key: privateKey };
    keyReport.problem(
      `Cannot use file "${key}": its private key does not belong to the certificate in "${cert}"`,
    );
    return null;
  }

  #read(path: string, report: Report): PemFile | null {
    return this.#pem.read(path, { files: this.#files, report });
  }

  #source(): TrustSource {
    return { files: this.#files, now: this.#now };
  }

  #at(place: Place, key: string): Report {
    return reportAt({ ...place, path: `${place.path}.${key}` }, this);
  }
}

/** TLS itself would notice only at the first handshake, and call it "unsupported protocol". */
function isPair(chain: OwnChain, key: PrivateKey): boolean {
  try {
    return chain.leaf.checkPrivateKey(key.object);
  } catch {
    // A certificate with a kind of key that no supported private key can belong to.
    return false;
  }
}
