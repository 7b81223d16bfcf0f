/** The verifier of a user, whether there is such a user or not. */

import { createHash } from "node:crypto";
import type { ScramVerifier } from "../wire/scram.ts";
import { sha256 } from "./hashing.ts";
import type { Userlist } from "./userlist.ts";

/** What a login is checked against. */
export interface KnownVerifier {
  readonly verifier: ScramVerifier;
  /** False: nobody has the password, and nobody may learn that from how the login goes. */
  readonly exists: boolean;
}

/** What verifiers of users that do not exist are made of. */
export interface MockSource {
  /** The key of the salts. */
  readonly secret: Uint8Array;
  /** StoredKey and ServerKey of all of them: nobody has a key that fits, so nobody gets to see more of it. */
  readonly key: Uint8Array;
}

/**
 * The verifier of `user`. For a user that is not listed it is made up: always the same salt for the same name, as many
 * iterations as the listed users have, and keys that no password gives. The salt is made for every user, so that both
 * cases take the same time.
 */
export function verifierOf(user: string, users: Userlist, { secret, key }: MockSource): KnownVerifier {
  const { iterations, saltBytes } = users.common;
  const mock = { iterations, salt: mockSalt(secret, user, saltBytes), storedKey: key, serverKey: key };
  const verifier = users.verifiers.get(user);
  return { verifier: verifier ?? mock, exists: verifier !== undefined };
}

/**
 * Makes the source of a route. It has to be the same in every isolate, in every replica and after a restart: a salt that
 * changes would tell which users do not exist. So it is made of what all of them hold and nobody else: the listener's
 * private key, or, where there is no TLS, the verifiers themselves.
 */
export function mockSource(keyPem: string | null, users: Userlist): MockSource {
  const hash = createHash("sha256").update("pgtls mock salt\0");
  if (keyPem !== null) hash.update(keyPem);
  else {for (const { storedKey, serverKey } of users.verifiers.values()) {
      hash.update(storedKey).update(serverKey);
    }}
  const secret = hash.digest();
  return { secret, key: sha256.hmac(secret, TEXT.encode("key")) };
}

/** As long as the salts of the listed users; one HMAC, but for salts of more than 32 bytes. */
function mockSalt(secret: Uint8Array, user: string, size: number): Uint8Array {
  const salt = new Uint8Array(size);
  for (let offset = 0, block = 0; offset < size; offset += HASH_BYTES, block++) {
    const bytes = sha256.hmac(secret, TEXT.encode(`salt ${block}:${user}`));
    salt.set(bytes.subarray(0, size - offset), offset);
  }
  return salt;
}

const TEXT = new TextEncoder();
const HASH_BYTES = 32;
