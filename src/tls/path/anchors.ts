/** The certificates of a CA bundle, found by name and by bytes. */

import { toHex } from "./algorithms.ts";
import { hexOf } from "./bundled.ts";
import type { Certificate } from "./certificate.ts";
import type { DistinguishedName } from "./names.ts";

/** A frozen set of listed certificates. */
export class AnchorSet {
  /** Without duplicates, in the order of the bundle. */
  readonly certificates: readonly Certificate[];
  readonly #byBytes: ReadonlyMap<string, Certificate>;
  readonly #byName = new Map<string, Certificate[]>();

  constructor(certificates: readonly Certificate[]) {
    this.#byBytes = new Map(certificates.map((certificate) => [hexOf(certificate.der), certificate]));
    this.certificates = [...this.#byBytes.values()];
    for (const certificate of this.certificates) {
      const name = hexOf(certificate.subject.der);
      const namesakes = this.#byName.get(name);
      if (namesakes === undefined) this.#byName.set(name, [certificate]);
      else namesakes.push(certificate);
    }
  }

  /** The listed certificate with exactly these bytes. */
  listed(der: Uint8Array): Certificate | null {
    return this.#byBytes.get(toHex(der)) ?? null;
  }

  /** All of this name; several may share it, and some may be no CA. */
  named(name: DistinguishedName): readonly Certificate[] {
    return this.#byName.get(toHex(name.der)) ?? [];
  }
}
