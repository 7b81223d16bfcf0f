/** SASLprep (RFC 4013) as PostgreSQL applies it to passwords: what cannot be prepared is used as it came. */

/**
 * Prepares a password for SCRAM.
 *
 * @param password As the client sent it, in whatever encoding.
 * @returns The normalised password in UTF-8, or the same bytes where they are not UTF-8, hold what SASLprep forbids,
 *   or would become nothing.
 */
export async function preparePassword(password: Uint8Array): Promise<Uint8Array> {
  if (password.every((byte) => byte < 0x80)) return password;
  // Its tables take 10 ms to load, and hardly anybody needs them.
  const { default: saslprep } = await import("@mongodb-js/saslprep");
  try {
    const prepared = saslprep(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(password));
    return prepared === "" ? password : new TextEncoder().encode(prepared);
  } catch {
    return password;
  }
}
