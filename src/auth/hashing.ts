/** The cryptography of SCRAM-SHA-256 from node:crypto, and the keys a password gives. */

import { createHash, pbkdf2, timingSafeEqual } from "node:crypto";
import { KEY_BYTES, type ScramHashing, type ScramKeys } from "../wire/scram.ts";

/** SHA-256 for the machines of `wire/scram_*.ts`. */
export const sha256: ScramHashing = {
  hash: (data) => createHash("sha256").update(data).digest(),
  hmac,
  isEqual: (left, right) => left.length === right.length && timingSafeEqual(left, right),
};

/** A nonce for one login: 144 bits, as many as PostgreSQL and libpq use, printable and without a comma. */
export function makeNonce(): string {
  return crypto.getRandomValues(new Uint8Array(NONCE_BYTES)).toBase64();
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

/**
 * HMAC (RFC 2104) of two hashes. The runtime's own, `createHmac`, makes a stream and four buffers for each: five of them
 * a login were the largest part of what SCRAM costs.
 */
function hmac(key: Uint8Array, data: Uint8Array): Uint8Array {
  if (key.length > BLOCK_BYTES) throw new RangeError(`Cannot use a key of more than ${BLOCK_BYTES} bytes`);
  block.fill(INNER_PAD);
  for (let i = 0; i < key.length; i++) block[i]! ^= key[i]!;
  const inner = createHash("sha256").update(block).update(data).digest();
  for (let i = 0; i < BLOCK_BYTES; i++) block[i]! ^= INNER_PAD ^ OUTER_PAD;
  const outer = createHash("sha256").update(block).update(inner).digest();
  block.fill(0);
  return outer;
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

/** Of SHA-256. */
const BLOCK_BYTES = 64;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;

/** The key of the HMAC that is being made, padded; zeros between. */
const block = new Uint8Array(BLOCK_BYTES);
