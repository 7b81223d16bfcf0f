/** CA bundles and CRLs: a store is made once for all routes, and for as long as its files do not change. */

import type { FileContent } from "../config/read_file.ts";
import type { FileReader } from "../config/snapshot.ts";
import type { PemFile, PemFiles, Report } from "./material_file.ts";
import { readSystemBundle } from "./path/system_roots.ts";
import { TrustStore, TrustStoreError } from "./trust_store.ts";

/** Where one load reads, and when it is. */
export interface TrustSource {
  readonly files: FileReader;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** Makes trust stores, and remembers both the stores and the failures for as long as the files stay the same. */
export class TrustStores {
  readonly #pem: PemFiles;
  /** A store remembers accepted chains, so clients and backends do not share one, whatever the verifier keys them by. */
  readonly #clients: Stores<PemFile> = new WeakMap();
  readonly #clientsWithCrl = new WeakMap<PemFile, Stores<PemFile>>();
  readonly #backends: Stores<PemFile> = new WeakMap();
  readonly #system: Stores<FileContent> = new WeakMap();

  constructor(pem: PemFiles) {
    this.#pem = pem;
  }

  /** The store behind `client_ca` and `client_crl`; `null` after reporting why not. */
  forClients(
    paths: { readonly ca: string; readonly crl: string | null },
    reports: { readonly ca: Report; readonly crl: Report },
    { files, now }: TrustSource,
  ): TrustStore | null {
    const ca = this.#pem.read(paths.ca, { files, report: reports.ca });
    const crl = paths.crl === null ? null : this.#pem.read(paths.crl, { files, report: reports.crl });
    if (ca === null) return null;
    const make = () => TrustStore.parse(ca.text, { now });
    const plain = tell(remember(this.#clients, ca, make), { ...reports.ca, file: ca.path });
    if (plain === null || paths.crl === null) return plain;
    if (crl === null) return null;
    // Parsed once more with the CRLs: what goes wrong only now is about them.
    const makeWithCrl = () => TrustStore.parse(ca.text, { crlPem: crl.text, now });
    const stores = this.#storesWithCrl(ca, { crl, now });
    const known = plain.notes;
    return tell(remember(stores, crl, makeWithCrl), { ...reports.crl, file: crl.path, known });
  }

  /** The store behind `root_ca`: a file, or `"system"`; `null` after reporting why not. */
  forBackend(path: string, report: Report, { files, now }: TrustSource): TrustStore | null {
    if (path === "system") return this.#forSystem(report, files);
    const ca = this.#pem.read(path, { files, report });
    if (ca === null) return null;
    const make = () => TrustStore.parse(ca.text, { now });
    return tell(remember(this.#backends, ca, make), { ...report, file: ca.path });
  }

  /** A list runs out without a change of its file: what was fresh once is looked at again. */
  #storesWithCrl(ca: PemFile, { crl, now }: { crl: PemFile; now: number }): Stores<PemFile> {
    const stores = this.#clientsWithCrl.get(ca) ?? new WeakMap();
    this.#clientsWithCrl.set(ca, stores);
    const known = stores.get(crl);
    const isFresh = known instanceof TrustStore && !known.revocation?.hasRunOut(now);
    if (!isFresh) stores.delete(crl);
    return stores;
  }

  #forSystem(report: Report, files: FileReader): TrustStore | null {
    const bundle = attempt(() => readSystemBundle(files));
    const store = bundle instanceof TrustStoreError
      ? bundle
      : remember(this.#system, bundle, () => TrustStore.ofSystem(bundle));
    // The operator did not choose these roots: which of them have expired is no news to act on.
    return tell(store, { problem: report.problem, warning: ignore, file: null });
  }
}

type Stores<Key extends object> = WeakMap<Key, TrustStore | TrustStoreError>;

function remember<Key extends object>(
  stores: Stores<Key>,
  key: Key,
  make: () => TrustStore,
): TrustStore | TrustStoreError {
  const store = stores.get(key) ?? attempt(make);
  stores.set(key, store);
  return store;
}

/** Says what is wrong with a store, or worth knowing about it. */
function tell(
  store: TrustStore | TrustStoreError,
  report: Report & { readonly file: string | null; readonly known?: readonly string[] },
): TrustStore | null {
  const file = `file "${report.file}"`;
  if (store instanceof TrustStoreError) {
    report.problem(report.file === null ? store.message : `${store.message} (${file})`);
    return null;
  }
  const notes = store.notes.filter((note) => !report.known?.includes(note));
  for (const note of notes) report.warning(`In ${file}: ${note}`);
  return store;
}

function attempt<Value>(make: () => Value): Value | TrustStoreError {
  try {
    return make();
  } catch (error) {
    if (error instanceof TrustStoreError) return error;
    throw error;
  }
}

function ignore(): void {}
