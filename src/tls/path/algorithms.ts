/**
 * The signature algorithms and keys that count, and the check of a signature.
 *
 * The list is the one of rustls with aws-lc-rs, so that nothing passes here that the handshake could not use.
 * Algorithm identifiers are compared as whole encodings, parameters included: an ECDSA identifier with a NULL,
 * an RSA one without, explicit curve parameters or another PSS salt are simply other algorithms.
 */

import { Buffer } from "node:buffer";
import { constants, createPublicKey, type KeyObject, verify } from "node:crypto";

import { DerError, DerReader, INTEGER } from "./der.ts";
import { BIT_STRING, readWhole, SEQUENCE } from "./der.ts";
import { decodeOctets, decodePositive } from "./der_values.ts";

/** What signs: the kind of key it needs and the digest. */
export interface SignatureAlgorithm {
  readonly name: string;
  readonly keyKind: "rsa" | "ec" | "ed25519";
  readonly hash: "sha256" | "sha384" | "sha512" | null;
  /** Octets of salt; `null` for every algorithm but RSA-PSS. */
  readonly pssSalt: number | null;
}

/** The subject's public key. Whether it is strong enough is a question of its own: `weakness`. */
export interface PublicKey {
  /** The whole SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** `null` for a key that no algorithm of ours can use. */
  readonly kind: "rsa" | "ec" | "ed25519" | null;
  /** What is wrong with its size, or `null`. */
  readonly weakness: string | null;
  /** `"P-256"` and so on, `null` unless `kind` is `"ec"`. */
  readonly curve: string | null;
}

/** The algorithm of an AlgorithmIdentifier content; `"weak"` for MD5, SHA-1 and older; `null` for any other. */
export function signatureAlgorithm(identifier: Uint8Array): SignatureAlgorithm | "weak" | null {
  const hex = toHex(identifier);
  const known = SIGNATURES.get(hex);
  if (known !== undefined) return known;
  return WEAK_SIGNATURES.some((prefix) => hex.startsWith(prefix)) ? "weak" : null;
}

/** @throws {DerError} If the structure, or the key inside a known one, is malformed. */
export function readPublicKey(spki: Uint8Array): PublicKey {
  const what = "the public key";
  const reader = new DerReader(readWhole(spki, SEQUENCE, what).content);
  const identifier = reader.read(SEQUENCE, what).content;
  const bits = decodeOctets(reader.read(BIT_STRING, what).content, what);
  reader.finish(what);
  const hex = toHex(identifier);
  if (hex === RSA) return { spki, kind: "rsa", weakness: rsaWeakness(bits), curve: null };
  if (hex === ED25519) {
    if (bits.length !== 32) throw new DerError(`${what} has ${bits.length} octets`);
    return { spki, kind: "ed25519", weakness: null, curve: null };
  }
  const curve = CURVES.get(hex);
  if (curve === undefined) return { spki, kind: null, weakness: null, curve: null };
  // RFC 5480 allows compressed points; nobody issues them and runtimes differ on them.
  if (bits[0] !== 0x04 || bits.length !== curve.pointOctets) {
    throw new DerError(`${what} is not an uncompressed point`);
  }
  return { spki, kind: "ec", weakness: null, curve: curve.name };
}

/** Whether `signature` is over `message`, by the key. Anything that goes wrong inside is a no. */
export function isSignedBy(
  message: Uint8Array,
  signature: Uint8Array,
  options: { algorithm: SignatureAlgorithm; key: PublicKey },
): boolean {
  const { algorithm, key } = options;
  if (algorithm.keyKind !== key.kind) return false;
  if (key.kind === "ec" && !isStrictEcdsa(signature)) return false;
  try {
    const keyObject = importKey(key);
    if (algorithm.pssSalt === null) return verify(algorithm.hash, message, keyObject, signature);
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    return verify(
      algorithm.hash,
      message,
      { key: keyObject, padding, saltLength: algorithm.pssSalt },
      signature,
    );
  } catch {
    return false;
  }
}

/** Whether the key can be used at all: a point can have the right length and not lie on the curve. */
export function isUsableKey(key: PublicKey): boolean {
  try {
    importKey(key);
    return true;
  } catch {
    return false;
  }
}

/** Bytes as lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

function rsaWeakness(bits: Uint8Array): string | null {
  const what = "the RSA key";
  const reader = new DerReader(readWhole(bits, SEQUENCE, what).content);
  const modulus = decodePositive(reader.read(INTEGER, what).content, what);
  const exponent = decodePositive(reader.read(INTEGER, what).content, what);
  reader.finish(what);
  const size = modulus.length * 8 - Math.clz32(modulus[0]!) + 24;
  if (size < 2048 || size > 8192) return `its RSA key has ${size} bits, expected 2048 to 8192`;
  const isOdd = (modulus[modulus.length - 1]! & exponent[exponent.length - 1]! & 1) === 1;
  // The bounds of aws-lc: at least 3, at most 33 bits.
  const isSmall = exponent.length < 5 || (exponent.length === 5 && exponent[0] === 1);
  const isOne = exponent.length === 1 && exponent[0] === 1;
  return isOdd && isSmall && !isOne ? null : "its RSA key is not a usable one";
}

function isStrictEcdsa(signature: Uint8Array): boolean {
  const what = "the signature";
  try {
    const reader = new DerReader(readWhole(signature, SEQUENCE, what).content);
    decodePositive(reader.read(INTEGER, what).content, what);
    decodePositive(reader.read(INTEGER, what).content, what);
    return reader.isDone;
  } catch {
    return false;
  }
}

function importKey(key: PublicKey): KeyObject {
  const known = keyObjects.get(key);
  if (known !== undefined) return known;
  const made = createPublicKey({ key: Buffer.from(key.spki), format: "der", type: "spki" });
  keyObjects.set(key, made);
  return made;
}

/** Importing costs more than hashing; anchors live as long as their store. */
const keyObjects = new WeakMap<PublicKey, KeyObject>();

function signature(
  name: string,
  keyKind: SignatureAlgorithm["keyKind"],
  options: { hash: SignatureAlgorithm["hash"]; pssSalt?: number },
): SignatureAlgorithm {
  return { name, keyKind, hash: options.hash, pssSalt: options.pssSalt ?? null };
}

/** RSASSA-PSS-params with everything spelled out: the digest, MGF1 with the same digest, its length as salt. */
function pssIdentifier(digest: string, saltHex: string): string {
  const hash = `300d0609608648016503040${digest}0500`;
  return `06092a864886f70d01010a3034a00f${hash}a11c301a06092a864886f70d010108${hash}a2030201${saltHex}`;
}

const RSA = "06092a864886f70d0101010500";
const ED25519 = "06032b6570";
const CURVES: ReadonlyMap<string, { readonly name: string; readonly pointOctets: number }> = new Map([
  ["06072a8648ce3d020106082a8648ce3d030107", { name: "P-256", pointOctets: 65 }],
  ["06072a8648ce3d020106052b81040022", { name: "P-384", pointOctets: 97 }],
  ["06072a8648ce3d020106052b81040023", { name: "P-521", pointOctets: 133 }],
]);
const SIGNATURES: ReadonlyMap<string, SignatureAlgorithm> = new Map([
  ["06092a864886f70d01010b0500", signature("RSA with SHA-256", "rsa", { hash: "sha256" })],
  ["06092a864886f70d01010c0500", signature("RSA with SHA-384", "rsa", { hash: "sha384" })],
  ["06092a864886f70d01010d0500", signature("RSA with SHA-512", "rsa", { hash: "sha512" })],
  [pssIdentifier("201", "20"), signature("RSA-PSS with SHA-256", "rsa", { hash: "sha256", pssSalt: 32 })],
  [pssIdentifier("202", "30"), signature("RSA-PSS with SHA-384", "rsa", { hash: "sha384", pssSalt: 48 })],
  [pssIdentifier("203", "40"), signature("RSA-PSS with SHA-512", "rsa", { hash: "sha512", pssSalt: 64 })],
  ["06082a8648ce3d040302", signature("ECDSA with SHA-256", "ec", { hash: "sha256" })],
  ["06082a8648ce3d040303", signature("ECDSA with SHA-384", "ec", { hash: "sha384" })],
  ["06082a8648ce3d040304", signature("ECDSA with SHA-512", "ec", { hash: "sha512" })],
  [ED25519, signature("Ed25519", "ed25519", { hash: null })],
]);
/** Prefixes: MD2, MD4, MD5 and SHA-1 with RSA, the OIW's SHA-1, DSA and ECDSA with SHA-1, RSA-PSS with its SHA-1 default. */
const WEAK_SIGNATURES: readonly string[] = [
  "06092a864886f70d010102",
  "06092a864886f70d010103",
  "06092a864886f70d010104",
  "06092a864886f70d010105",
  "06052b0e03021d",
  "06072a8648ce380403",
  "06072a8648ce3d0401",
  "06092a864886f70d01010a3000",
];
