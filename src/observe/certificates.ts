/** Which certificates are in use: those that were loaded, and those that backends and clients have shown. */

import {
  certificateFingerprint,
  type CertificateText,
  describeCertificate,
} from "../tls/certificate_text.ts";
import type { Pace } from "../pace.ts";
import type { PgtlsEvent } from "./events.ts";
import type { LoadedCertificate, LoadedUse } from "./loaded_certificates.ts";

/** Where a certificate is used. */
export interface CertificateUse {
  readonly route: string | null;
  readonly use: LoadedUse | SeenUse;
  /** `null` unless it was loaded. */
  readonly file: string | null;
  /** Milliseconds since 1970; `null` unless a peer has shown it. */
  readonly lastSeen: number | null;
}

/** A certificate and all its uses. */
export interface UsedCertificate {
  readonly text: CertificateText;
  readonly used: readonly CertificateUse[];
}

type SeenUse = "backend_seen" | "client_seen";

/** The certificates of this process. */
export class Certificates {
  readonly #limit: number;
  #loaded: readonly UsedCertificate[] = [];
  #loads = 0;
  /** By fingerprint, the one seen longest ago first. */
  readonly #seen = new Map<string, SeenCertificate>();

  /** @param limit Certificates of peers to remember. */
  constructor(limit = 1_000) {
    this.#limit = limit;
  }

  /**
   * Takes what has been loaded now, in place of what was loaded before; where two of these overlap, the later one counts.
   *
   * @param pace Where connections are served meanwhile.
   */
  async load(loaded: readonly LoadedCertificate[], pace?: Pace): Promise<void> {
    const load = ++this.#loads;
    const before = new Map(this.#loaded.map(({ text }) => [text.sha256, text]));
    const texts = new Map<string, { text: CertificateText; used: CertificateUse[] }>();
    for (const { der, ...use } of loaded) {
      await pace?.rest();
      const sha256 = certificateFingerprint(der);
      const known = texts.get(sha256) ??
        { text: before.get(sha256) ?? describeCertificate(der), used: [] };
      known.used.push({ ...use, lastSeen: null });
      texts.set(sha256, known);
    }
    if (load === this.#loads) this.#loaded = [...texts.values()];
  }

  /** Takes an event: a backend's certificate that was accepted, or a client's. */
  observe(event: PgtlsEvent): void {
    if (event.event === "backend.connected" && event.tls?.serverCert) {
      this.#see(event.tls.serverCert, event.route, "backend_seen");
    }
    if (event.event === "peer.verified" && event.identity === "verified") {
      const [leaf] = event.tls?.clientChain ?? [];
      if (leaf !== undefined) this.#see(leaf, event.route, "client_seen");
    }
  }

  /** What was loaded, a file's certificates in its order. */
  get loaded(): readonly UsedCertificate[] {
    return this.#loaded;
  }

  /** All of them, the one that ends first before the others. */
  list(): UsedCertificate[] {
    const all = new Map(this.#loaded.map((certificate) => [certificate.text.sha256, certificate]));
    for (const [sha256, { text, uses }] of this.#seen) {
      all.set(sha256, { text, used: [...all.get(sha256)?.used ?? [], ...uses.values()] });
    }
    return [...all.values()].sort((one, other) => one.text.notAfter - other.text.notAfter);
  }

  #see(der: Uint8Array, route: string | null, use: SeenUse): void {
    const sha256 = certificateFingerprint(der);
    const seen = this.#seen.get(sha256) ?? { text: describeCertificate(der), uses: new Map() };
    seen.uses.set(`${use} ${route}`, { route, use, file: null, lastSeen: Date.now() });
    this.#seen.delete(sha256);
    this.#seen.set(sha256, seen);
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > this.#limit) this.#seen.delete(oldest!);
  }
}

interface SeenCertificate {
  readonly text: CertificateText;
  /** One for each route and use. */
  readonly uses: Map<string, CertificateUse>;
}
