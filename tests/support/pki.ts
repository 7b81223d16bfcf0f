/** Throw-away certificate authorities for tests. Valid certificates only; for broken ones see chain_builder.ts. */
import { join } from "node:path";
import { issueCertificate, type IssuedCertificate, type KeyType } from "../../src/demo/issuer.ts";

export type { IssuedCertificate, KeyType };

/** Options of every kind of certificate. */
export interface CertificateOptions {
  /** The subject's common name. */
  readonly name: string;
  /** @default "P-256" */
  readonly keyType?: KeyType;
  /** @default a day ago */
  readonly notBefore?: Date;
  /** @default in 30 days */
  readonly notAfter?: Date;
}

/** Options of a server or client certificate. */
export interface LeafOptions extends CertificateOptions {
  readonly purpose: "server" | "client";
  /** DNS names and IP addresses; no subjectAltName when absent. */
  readonly sans?: readonly string[];
}

/** Options of a CA certificate. */
export interface CaOptions extends CertificateOptions {
  /** basicConstraints pathLenConstraint; no limit when absent. */
  readonly pathLength?: number;
}

/** A certificate with the intermediate CAs a peer needs to verify it. */
export interface Leaf extends IssuedCertificate {
  /** PEM: this certificate, then the intermediate CAs, without the root. What a server or client presents. */
  readonly chainPem: string;
}

/** A CA that issues. */
export interface Ca extends Leaf {
  issue(options: LeafOptions): Leaf;
  /** An intermediate CA below this one. */
  issueCa(options: CaOptions): Ca;
}

/** Makes a self-signed root CA. */
export function makeCa(options: CaOptions): Ca {
  return caOf(issueCertificate({ ...defaultValidity(), ...options, purpose: "ca" }), "");
}

/** Makes a self-signed server or client certificate that is not a CA. */
export function makeSelfSigned(options: LeafOptions): Leaf {
  const issued = issueCertificate({ ...defaultValidity(), ...options });
  return { ...issued, chainPem: issued.certPem };
}

/** Writes each text to `dir` under its name, keys (`*.key`) with mode 0600, and gives back the absolute paths. */
export async function writeFiles<N extends string>(
  dir: string,
  files: Record<N, string>,
): Promise<Record<N, string>> {
  const paths: Partial<Record<N, string>> = {};
  for (const name in files) {
    paths[name] = join(dir, name);
    await Deno.writeTextFile(paths[name], files[name], { mode: name.endsWith(".key") ? 0o600 : 0o644 });
  }
  return paths as Record<N, string>;
}

function caOf(issued: IssuedCertificate, chainBelowRoot: string): Ca {
  return {
    ...issued,
    chainPem: chainBelowRoot,
    issue(options) {
      const leaf = issueCertificate({ ...defaultValidity(), ...options }, issued);
      return { ...leaf, chainPem: leaf.certPem + chainBelowRoot };
    },
    issueCa(options) {
      const child = issueCertificate({ ...defaultValidity(), ...options, purpose: "ca" }, issued);
      return caOf(child, child.certPem + chainBelowRoot);
    },
  };
}

function defaultValidity(): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + 30 * DAY_MS) };
}

const DAY_MS = 24 * 60 * 60 * 1000;
