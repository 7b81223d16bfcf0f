/** The TLS of one leg, in two short lines. */

import type { Leg } from "./rows.ts";
import { describeCipher, describeVersion } from "./tls_words.ts";

/** `TLS 1.3`, cipher, and whether the session was resumed; says so when there is no TLS. */
export function LegSummary({ leg, isPending }: { leg: Leg | null; isPending: boolean }) {
  if (leg === null) {
    return isPending ? <span class="muted">not yet</span> : <span class="plaintext">no TLS</span>;
  }
  return (
    <>
      <span class="version">
        {describeVersion(leg.version)}
        {leg.resumed && <span class="tag">resumed</span>}
      </span>
      <span class="second">{describeCipher(leg.cipher)}</span>
    </>
  );
}
