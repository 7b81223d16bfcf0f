/**
 * Certificates, keys and CA bundles of all routes, read and checked together, before anything is bound.
 *
 * Everything wrong in every route is reported in one run. What comes out can be handed to TLS as it is.
 */

import type {
  BackendConfig,
  BackendFiles,
  Config,
  ListenerFiles,
  RouteConfig,
  TableFiles,
} from "../config/types.ts";
import { ConfigError, type Problem } from "../errors.ts";
import { type ChainPurpose, type OwnChain, readChain } from "./material_chain.ts";
import { MaterialFiles, type Report, reportAt } from "./material_file.ts";
import { type PrivateKey, readPrivateKey } from "./material_key.ts";
import { TrustStores } from "./material_trust.ts";
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

/** The material of the whole configuration. */
export interface Material {
  /** As `config.routes`, index by index. */
  readonly routes: readonly RouteMaterial[];
  /** `null` without an admin server or without TLS on it. */
  readonly admin: ListenerMaterial | null;
  /** What can be used but needs attention, in the order of the file. */
  readonly warnings: readonly Problem[];
}

/**
 * Reads every file the configuration names. Each is read once.
 *
 * @param options.now Milliseconds since 1970; by default the present.
 * @throws {ConfigError} With every problem of every route.
 */
export function loadMaterial(config: Config, options: { readonly now?: number } = {}): Material {
  const loader = new MaterialLoader(options.now ?? Date.now());
  const { admin } = config;
  const adminMaterial = admin === null
    ? null
    : loader.listener({ ...admin, clientCrl: null }, { path: "admin" });
  const routes = config.routes.map((route) => loadRoute(route, loader));
  if (loader.problems.length > 0) throw new ConfigError(config.file, loader.problems);
  return { routes, admin: adminMaterial, warnings: loader.warnings };
}

/** What is wrong with the files of a configuration that is wrong itself, so that one run names every problem. */
export function findFileProblems(
  tables: readonly TableFiles[],
  options: { readonly now?: number } = {},
): Problem[] {
  const loader = new MaterialLoader(options.now ?? Date.now());
  for (const table of tables) {
    if ("listener" in table) loader.listener(table.listener, table.place);
    else loader.backend({ ...table.backend, tlsVerify: "full", serverName: null }, table.place);
  }
  return loader.problems;
}

function loadRoute({ name, index, listener, backend }: RouteConfig, loader: MaterialLoader): RouteMaterial {
  const path = `proxy[${index}]`;
  return {
    listener: loader.listener(listener, { path: `${path}.listener`, route: name }),
    backend: loader.backend(backend, { path: `${path}.backend`, route: name }),
  };
}

interface Place {
  readonly path: string;
  readonly route?: string;
}

/** One load: the files read so far and what was found wrong. Its methods return `null` also after a problem. */
class MaterialLoader {
  readonly problems: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #files = new MaterialFiles();
  readonly #trust: TrustStores;
  readonly #now: number;

  constructor(now: number) {
    this.#now = now;
    this.#trust = new TrustStores(this.#files, now);
  }

  listener(files: ListenerFiles, place: Place): ListenerMaterial | null {
    const identity = this.#identity(files.serverCert, files.serverKey, {
      purpose: "server",
      certReport: this.#at(place, "server_cert"),
      keyReport: this.#at(place, "server_key"),
    });
    const trust = files.clientCa === null ? null : this.#trust.forClients(files.clientCa, files.clientCrl, {
      ca: this.#at(place, "client_ca"),
      crl: this.#at(place, "client_crl"),
    });
    if (identity === null) return null;
    const { chain, key } = identity;
    const clientPolicy = { mtls: files.mtls, trust };
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
    const trust = this.#trust.forBackend(files.rootCa, this.#at(place, "root_ca"));
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
    const certFile = this.#files.read(cert, certReport);
    const chain = certFile && readChain(certFile, { purpose, now: this.#now, report: certReport });
    const keyFile = this.#files.read(key, keyReport);
    const privateKey = keyFile && readPrivateKey(keyFile, keyReport);
    if (chain === null || privateKey === null) return null;
    if (isPair(chain, privateKey)) return { chain, key: privateKey };
    keyReport.problem(
      `Cannot use file "${key}": its private key does not belong to the certificate in "${cert}"`,
    );
    return null;
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
