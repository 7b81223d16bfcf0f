/** Where operating systems keep the public roots. */

import { readFileSync } from "node:fs";

import { TrustStoreError } from "./trust_error.ts";

/** The text of the bundle: of `SSL_CERT_FILE` where that is set, else of the first that can be read. @throws {TrustStoreError} If none. */
export function readSystemBundle(): string {
  const configured = Deno.env.get("SSL_CERT_FILE");
  const candidates = configured === undefined || configured === "" ? SYSTEM_BUNDLES : [configured];
  for (const path of candidates) {
    try {
      return readFileSync(path, "utf8");
    } catch {
      continue;
    }
  }
  const state = `none of ${candidates.map((path) => `"${path}"`).join(", ")} can be read`;
  throw new TrustStoreError(
    `Cannot use the public roots of the operating system: ${state}; set SSL_CERT_FILE`,
  );
}

/** Debian, Alpine and Arch; RHEL; RHEL since 7; SUSE; macOS and Alpine; FreeBSD. */
const SYSTEM_BUNDLES: readonly string[] = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
  "/usr/local/etc/ssl/cert.pem",
];
