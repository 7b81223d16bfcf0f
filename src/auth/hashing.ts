/** The cryptography of SCRAM-SHA-256 from node:crypto, and the keys a password gives. */

import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { KEY_BYTES, type ScramHashing, type ScramKeys } from "../wire/scram.ts";

/** SHA-256 for the machines of `wire/scram_*.ts`. */
export const sha256: ScramHashing = {
  hash: (data) => createHash("sha256").update(data).digest(),
  hmac: (key, data) => createHmac("sha256", key).update(data).digest(),
  isEqual: (left, right) => left.length === right.length && timingSafeEqual(left, right),
};

/** A nonce for one login: 144 bits, as many as PostgreSQL and libpq use, printable and without a comma. */
export function makeNonce(): string {
  return randomBytes(NONCE_BYTES).toString("base64");
}

/**
 * Derives the keys of RFC 5802 section 3 from a prepared password. The slow part runs outside of the event loop.
 *
 * @param password After SASLprep, in UTF-8.
 */
export async function deriveKeys(
  password: Uint8Array,
  { salt, iterations }: { readonly salt: Uint8Array; readonly iterations: number },
): Promise<ScramKeys> {
  const salted = await saltPassword(password, salt, iterations);
  const clientKey = sha256.hmac(salted, CLIENT_KEY);
  const serverKey = sha256.hmac(salted, SERVER_KEY);
  salted.fill(0);
  return { clientKey, serverKey };
}

function saltPassword(password: Uint8Array, salt: Uint8Array, iterations: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    pbkdf2(
      password,
      salt,
      iterations,
      KEY_BYTES,
      "sha256",
      (error, key) => error ? reject(error) : resolve(key),
    );
  });
}

const NONCE_BYTES = 18;
const CLIENT_KEY = new TextEncoder().encode("Client Key");
const SERVER_KEY = new TextEncoder().encode("Server Key");
