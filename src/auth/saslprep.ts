/** SASLprep (RFC 4013) as PostgreSQL applies it to passwords: what cannot be prepared is used as it came. */

import saslprep from "@mongodb-js/saslprep";

/**
 * Prepares a password for SCRAM.
 *
 * @param password As the client sent it, in whatever encoding.
 * @returns The normalised password in UTF-8, or the same bytes where they are not UTF-8, hold what SASLprep forbids,
 *   or would become nothing.
 */
export function preparePassword(password: Uint8Array): Uint8Array {
  if (password.every((byte) => byte < 0x80)) return password;
  try {
    const prepared = saslprep(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(password));
    return prepared === "" ? password : new TextEncoder().encode(prepared);
  } catch {
    return password;
  }
}
