/** CA bundles and CRLs: a store is made once for all routes, and for as long as its files do not change. */

import type { FileContent } from "../config/read_file.ts";
import type { FileReader } from "../config/snapshot.ts";
import type { PemFile, PemFiles, Report } from "./material_file.ts";
import type { Certificate } from "./path/certificate.ts";
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
  readonly #clients: Stores = new WeakMap();
  readonly #clientsWithCrl = new WeakMap<FileContent, Stores>();
  readonly #backends: Stores = new WeakMap();
  readonly #system: Stores = new WeakMap();
  /** What has been read and is in no store yet: nobody else keeps it. */
  #prepared: { readonly file: PemFile; readonly certificates: readonly Certificate[] }[] = [];

  constructor(pem: PemFiles) {
    this.#pem = pem;
  }

  /**
   * Reads a bundle bit by bit, unless there is a store of it: one is quickly made then, until {@linkcode settle}. Reports
   * nothing.
   *
   * @param options.rest Waited for after each bit.
   */
  async prepare(
    path: string,
    { files, rest }: { readonly files: FileReader; readonly rest: () => Promise<void> },
  ): Promise<void> {
    const file = this.#pem.read(path, { files, report: SILENT });
    if (file === null || this.#clients.has(file.content) || this.#backends.has(file.content)) return;
    await rest();
    this.#prepared.push({ file, certificates: await TrustStore.prepare(file.blocks, rest) });
  }

  /** The stores that {@linkcode prepare} was for are made. */
  settle(): void {
    this.#prepared = [];
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
    const make = () => TrustStore.of(ca.blocks, { now });
    const plain = tell(remember(this.#clients, ca.content, make), { ...reports.ca, file: ca.path });
    if (plain === null || paths.crl === null) return plain;
    if (crl === null) return null;
    // Parsed once more with the CRLs: what goes wrong only now is about them.
    const makeWithCrl = () => TrustStore.of(ca.blocks, { crlPem: crl.text, now });
    const stores = this.#storesWithCrl(ca.content, { crl: crl.content, now });
    const known = plain.notes;
    return tell(remember(stores, crl.content, makeWithCrl), { ...reports.crl, file: crl.path, known });
  }

  /** The store behind `root_ca`: a file, or `"system"`; `null` after reporting why not. */
  forBackend(path: string, report: Report, { files, now }: TrustSource): TrustStore | null {
    if (path === "system") return this.#forSystem(report, files);
    const ca = this.#pem.read(path, { files, report });
    if (ca === null) return null;
    const make = () => TrustStore.of(ca.blocks, { now });
    return tell(remember(this.#backends, ca.content, make), { ...report, file: ca.path });
  }

  /** A list runs out without a change of its file: what was fresh once is looked at again. */
  #storesWithCrl(ca: FileContent, { crl, now }: { crl: FileContent; now: number }): Stores {
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

/** By the content of the file they are made of. */
type Stores = WeakMap<FileContent, TrustStore | TrustStoreError>;

function remember(stores: Stores, key: FileContent, make: () => TrustStore): TrustStore | TrustStoreError {
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

const SILENT: Report = { problem: ignore, warning: ignore };
