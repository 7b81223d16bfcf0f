/**
 * What both roles of SCRAM-SHA-256 share (RFC 5802, RFC 7677). No cryptography is made here: the functions come in,
 * so that the machines stay free of the runtime and can be tested back to back.
 */

/** The cryptography SCRAM is made of, with SHA-256. */
export interface ScramHashing {
  hash(data: Uint8Array): Uint8Array;
  hmac(key: Uint8Array, data: Uint8Array): Uint8Array;
  /** Whether two byte strings are equal, in a time that tells nothing about where they differ. */
  isEqual(left: Uint8Array, right: Uint8Array): boolean;
}

/** What a server keeps of a password: enough to check a proof, not to make one. */
export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Uint8Array;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

/** What a client needs to prove itself and to check the server. */
export interface ScramKeys {
  readonly clientKey: Uint8Array;
  /** The hash of `clientKey`, where it is known already. */
  readonly storedKey?: Uint8Array;
  readonly serverKey: Uint8Array;
}

/** What a client-final-message says of channel binding: the gs2-header, and the hash where there is one. */
export function bindingData(gs2Header: Uint8Array, endPointHash: Uint8Array | null): Uint8Array {
  if (endPointHash === null) return gs2Header;
  const data = new Uint8Array(gs2Header.length + endPointHash.length);
  data.set(gs2Header);
  data.set(endPointHash, gs2Header.length);
  return data;
}

/** Each byte of `left` xor that of `right`; both have one length. */
export function xor(left: Uint8Array, right: Uint8Array): Uint8Array {
  return left.map((byte, i) => byte ^ right[i]!);
}

/** SHA-256: of keys, proofs and signatures alike. */
export const KEY_BYTES = 32;

/** The channel binding type of PostgreSQL: a hash of the server's certificate (RFC 5929 section 4). */
export const END_POINT = "tls-server-end-point";
