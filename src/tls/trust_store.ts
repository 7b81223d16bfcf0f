/** What a route trusts: its CA bundle and CRLs, read once, checked whole, never changed afterwards. */

import type { FileContent } from "../config/read_file.ts";
import { Snapshot } from "../config/snapshot.ts";
import { PeerRejectedError } from "../errors.ts";
import { anchorNotes } from "./path/anchor_notes.ts";
import { AnchorSet } from "./path/anchors.ts";
import { bundledCertificate } from "./path/bundled.ts";
import type { Certificate } from "./path/certificate.ts";
import { readCrlFile } from "./path/crl_file.ts";
import type { PemBlock } from "./path/pem.ts";
import type { RevocationLists } from "./path/revocation.ts";
import type { Trust } from "./path/search.ts";
import { readSystemBundle } from "./path/system_roots.ts";
import { readPem, TrustStoreError } from "./path/trust_error.ts";

export { TrustStoreError } from "./path/trust_error.ts";

/** Options of {@linkcode TrustStore.parse}. */
export interface StoreOptions {
  readonly crlPem?: string;
  /** Milliseconds since 1970 for the dates of CRLs and for the notes. @default the present */
  readonly now?: number;
}

/** Trust anchors and revocation lists of one route. Immutable: a reload makes a new one, and nothing outlives it. */
export class TrustStore implements Trust {
  /** For path validation; nobody else needs to look inside. */
  readonly anchors: AnchorSet;
  readonly revokedAnchors: ReadonlySet<Certificate>;
  readonly revocation: RevocationLists | null;
  /** What the operator should know although it is no error: `certificate 3 ("CN=Old CA") expired on ...`. */
  readonly notes: readonly string[];

  private constructor(trust: Trust, notes: readonly string[]) {
    this.anchors = trust.anchors;
    this.revokedAnchors = trust.revokedAnchors;
    this.revocation = trust.revocation;
    this.notes = Object.freeze([...notes]);
    Object.freeze(this);
  }

  /** Number of distinct certificates in the bundle, those that anchor nothing included. */
  get size(): number {
    return this.anchors.certificates.length;
  }

  /**
   * Reads a PEM bundle and, where given, PEM CRLs.
   *
   * @throws {TrustStoreError} If there is no certificate, one does not parse, or a CRL is unreadable, out of date
   * or not signed by the CA it names.
   */
  static parse(bundlePem: string, options: StoreOptions = {}): TrustStore {
    return TrustStore.of(readPem(bundlePem, "CA bundle"), options);
  }

  /** The same, of a bundle whose PEM has been read. */
  static of(blocks: readonly PemBlock[], options: StoreOptions = {}): TrustStore {
    const now = options.now ?? Date.now();
    const certificates = certificatesOf(blocks).map((block, index) => parseEntry(block, index + 1));
    const anchors = new AnchorSet(certificates);
    const notes = anchorNotes(anchors.certificates, now);
    if (options.crlPem === undefined) {
      return new TrustStore({ anchors, revokedAnchors: new Set(), revocation: null }, notes);
    }
    const crls = readCrlFile(options.crlPem, { anchors, now });
    return new TrustStore({ anchors, ...crls }, [...notes, ...crls.notes]);
  }

  /**
   * Reads the certificates of a bundle, so that {@linkcode TrustStore.parse} has next to nothing left to do for as long as
   * what is returned is kept. Ends at the first that cannot be read: it is for the other to say so.
   *
   * @param rest Waited for after each.
   */
  static async prepare(
    blocks: readonly PemBlock[],
    rest: () => Promise<void>,
  ): Promise<readonly Certificate[]> {
    const certificates: Certificate[] = [];
    for (const block of blocks.filter(isCertificate)) {
      try {
        certificates.push(parseEntry(block, certificates.length + 1));
      } catch (error) {
        if (error instanceof TrustStoreError) break;
        throw error;
      }
      await rest();
    }
    return certificates;
  }

  /**
   * The public roots of the operating system: the file in `SSL_CERT_FILE`, or the bundle of the distribution.
   * Entries that do not parse are left out and noted, since the operator did not write them.
   *
   * @throws {TrustStoreError} If there is no such file, or no certificate in it.
   */
  static system(): TrustStore {
    return TrustStore.ofSystem(readSystemBundle(new Snapshot()));
  }

  /** The same, from the content of that file. @throws {TrustStoreError} If there is no certificate in it. */
  static ofSystem({ bytes }: FileContent): TrustStore {
    const notes: string[] = [];
    const certificates: Certificate[] = [];
    const blocks = readPem(new TextDecoder().decode(bytes), "CA bundle");
    for (const [index, block] of certificatesOf(blocks).entries()) {
      try {
        certificates.push(parseEntry(block, index + 1));
      } catch (error) {
        if (!(error instanceof TrustStoreError)) throw error;
        notes.push(`${error.message}: it anchors nothing`);
      }
    }
    const anchors = new AnchorSet(certificates);
    const allNotes = [...notes, ...anchorNotes(anchors.certificates, Date.now())];
    return new TrustStore({ anchors, revokedAnchors: new Set(), revocation: null }, allNotes);
  }
}

function certificatesOf(blocks: readonly PemBlock[]): PemBlock[] {
  if (blocks.some((block) => block.label === "TRUSTED CERTIFICATE")) {
    const remedy = 'expected "-----BEGIN CERTIFICATE-----"; convert it with "openssl x509"';
    throw new TrustStoreError(
      `Cannot use CA bundle: "TRUSTED CERTIFICATE" is a form of OpenSSL's own, ${remedy}`,
    );
  }
  const certificates = blocks.filter(isCertificate);
  if (certificates.length > 0) return certificates;
  const found = blocks.length === 0
    ? "there is no PEM block in it"
    : `the first block is "${blocks[0]!.label}"`;
  throw new TrustStoreError(`Cannot use CA bundle: ${found}, expected "-----BEGIN CERTIFICATE-----"`);
}

function isCertificate({ label }: PemBlock): boolean {
  return CERTIFICATE_LABELS.has(label);
}

function parseEntry(block: PemBlock, position: number): Certificate {
  try {
    return bundledCertificate(block.bytes, `certificate ${position} of the CA bundle`);
  } catch (error) {
    if (!(error instanceof PeerRejectedError)) throw error;
    throw new TrustStoreError(error.message, { cause: error });
  }
}

/** "X509 CERTIFICATE" is what old OpenSSL wrote. */
const CERTIFICATE_LABELS: ReadonlySet<string> = new Set(["CERTIFICATE", "X509 CERTIFICATE"]);
