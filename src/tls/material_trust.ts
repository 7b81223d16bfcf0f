/** CA bundles and CRLs of one load: a store is made once for all routes that name the same files for the same purpose. */

import type { MaterialFiles, Report } from "./material_file.ts";
import { TrustStore, TrustStoreError } from "./trust_store.ts";

/** Makes trust stores, and remembers both the stores and the failures. */
export class TrustStores {
  readonly #files: MaterialFiles;
  readonly #now: number;
  /** A store remembers accepted chains, so clients and backends do not share one, whatever the verifier keys them by. */
  readonly #clients: Stores = new Map();
  readonly #backends: Stores = new Map();

  constructor(files: MaterialFiles, now: number) {
    this.#files = files;
    this.#now = now;
  }

  /** The store behind `client_ca` and `client_crl`; `null` after reporting why not. */
  forClients(
    caPath: string,
    crlPath: string | null,
    reports: { readonly ca: Report; readonly crl: Report },
  ): TrustStore | null {
    const now = this.#now;
    const ca = this.#files.read(caPath, reports.ca);
    const crl = crlPath === null ? null : this.#files.read(crlPath, reports.crl);
    const plain = ca &&
      this.#open(this.#clients, ca.path, reports.ca, () => TrustStore.parse(ca.text, { now }));
    if (plain === null || ca === null || crlPath === null) return plain;
    if (crl === null) return null;
    // Parsed once more with the CRLs: what goes wrong only now is about them.
    const key = `${ca.path}\0${crl.path}`;
    const make = () => TrustStore.parse(ca.text, { crlPem: crl.text, now });
    return this.#open(this.#clients, key, { ...reports.crl, path: crl.path, known: plain.notes }, make);
  }

  /** The store behind `root_ca`: a file, or `"system"`; `null` after reporting why not. */
  forBackend(path: string, report: Report): TrustStore | null {
    const now = this.#now;
    if (path === "system") {
      // The operator did not choose these roots: which of them have expired is no news to act on.
      return this.#open(this.#backends, path, { ...report, warning: ignore }, () => TrustStore.system());
    }
    const ca = this.#files.read(path, report);
    return ca && this.#open(this.#backends, path, report, () => TrustStore.parse(ca.text, { now }));
  }

  #open(
    stores: Stores,
    key: string,
    report: Report & { readonly path?: string; readonly known?: readonly string[] },
    make: () => TrustStore,
  ): TrustStore | null {
    const result = stores.get(key) ?? attempt(make);
    stores.set(key, result);
    const file = `file "${report.path ?? key}"`;
    if (result instanceof TrustStoreError) {
      report.problem(key === "system" ? result.message : `${result.message} (${file})`);
      return null;
    }
    const notes = result.notes.filter((note) => !report.known?.includes(note));
    for (const note of notes) report.warning(`In ${file}: ${note}`);
    return result;
  }
}

type Stores = Map<string, TrustStore | TrustStoreError>;

function attempt(make: () => TrustStore): TrustStore | TrustStoreError {
  try {
    return make();
  } catch (error) {
    if (error instanceof TrustStoreError) return error;
    throw error;
  }
}

function ignore(): void {}
