/** Private keys: what is in the file, whether TLS can use it, and who else can read it. */

import { createPrivateKey, type KeyObject } from "node:crypto";
import { describeBlocks, type PemFile, renderPem, type Report } from "./material_file.ts";

/** A private key that TLS can use. */
export interface PrivateKey {
  /** PKCS#8, PKCS#1 or SEC1, as in the file, without what else the file holds. */
  readonly pem: string;
  readonly object: KeyObject;
}

/**
 * Takes the private key out of a file.
 *
 * @returns `null` after reporting why not; nothing reported ever holds a part of the key.
 */
export function readPrivateKey(file: PemFile, report: Report): PrivateKey | null {
  warnIfReadable(file, report);
  const refuse = (state: string) => {
    report.problem(`Cannot use file "${file.path}": ${state}`);
    return null;
  };
  const keys = file.blocks.filter(({ label }) => label.endsWith("PRIVATE KEY"));
  const [block] = keys;
  if (block === undefined) return refuse(`it holds ${describeBlocks(file.blocks)}, expected a PRIVATE KEY`);
  if (keys.length > 1) return refuse(`it holds ${keys.length} private keys, expected one`);
  if (isEncrypted(block.label, file.text)) return refuse(encrypted(file.path));
  if (!KEY_LABELS.has(block.label)) return refuse(`it holds ${block.label}, expected PKCS#8, PKCS#1 or SEC1`);
  const pem = renderPem(block);
  const object = importKey(pem);
  if (object === null) return refuse("its private key is malformed, expected PKCS#8, PKCS#1 or SEC1");
  const unfit = unfitness(object);
  return unfit === null ? { pem, object } : refuse(unfit);
}

/** The rule of PostgreSQL for its own key: nobody but the owner, or root and a group. */
function warnIfReadable({ path, mode, uid }: PemFile, report: Report): void {
  const allowed = uid === 0 ? 0o740 : 0o700;
  if ((mode & 0o777 & ~allowed & 0o077) === 0) return;
  report.warning(
    `Private key file "${path}" is open to others: its mode is ${
      octal(mode)
    }, expected 0600, or 0640 if root owns it`,
  );
}

function isEncrypted(label: string, text: string): boolean {
  return label === "ENCRYPTED PRIVATE KEY" || /^Proc-Type:.*ENCRYPTED/m.test(text);
}

function encrypted(path: string): string {
  return `its private key is encrypted, expected a plain one, made with: openssl pkey -in "${path}" -out "${path}.plain"`;
}

function importKey(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    // The cause may quote the input.
    return null;
  }
}

function unfitness({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string | null {
  const expected = "expected RSA from 2048 to 8192 bits, ECDSA P-256, P-384 or P-521, or Ed25519";
  if (type === "ed25519") return null;
  if (type === "ec") {
    const curve = details?.namedCurve ?? "no named curve";
    return CURVES.has(curve) ? null : `its ECDSA key is on ${curve}, ${expected}`;
  }
  if (type !== "rsa") return `its private key is of type ${type ?? "none"}, ${expected}`;
  const bits = details?.modulusLength ?? 0;
  return bits >= 2048 && bits <= 8192 ? null : `its RSA key has ${bits} bits, ${expected}`;
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

const KEY_LABELS: ReadonlySet<string> = new Set(["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"]);

/** P-256, P-384 and P-521 under the names node:crypto gives them. */
const CURVES: ReadonlySet<string> = new Set(["prime256v1", "secp384r1", "secp521r1"]);
