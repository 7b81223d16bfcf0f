/** The one thing that can be said to a client that waits for a ServerHello. */

import type { TlsAlert } from "../errors.ts";

/**
 * A fatal alert in clear: record of type 21, version 3.3 and two bytes.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8446#section-6 | RFC 8446, section 6}
 */
export function encodeAlert(alert: TlsAlert): Uint8Array {
  return Uint8Array.of(21, 3, 3, 0, 2, FATAL, DESCRIPTIONS[alert]);
}

const FATAL = 2;

const DESCRIPTIONS = { decode_error: 50, unrecognized_name: 112 } as const satisfies Record<TlsAlert, number>;
