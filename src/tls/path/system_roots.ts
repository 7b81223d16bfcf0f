/** Where operating systems keep the public roots. */

import type { FileContent } from "../../config/read_file.ts";
import type { FileReader } from "../../config/snapshot.ts";
import { TrustStoreError } from "./trust_error.ts";

/**
 * The bundle: of `SSL_CERT_FILE` where that is set, else the first that can be read.
 *
 * @throws {TrustStoreError} If none can be read.
 */
export function readSystemBundle(files: FileReader): FileContent {
  const paths = systemBundlePaths();
  for (const path of paths) {
    try {
      return files.read(path);
    } catch {
      continue;
    }
  }
  const state = `none of ${paths.map((path) => `"${path}"`).join(", ")} can be read`;
  throw new TrustStoreError(
    `Cannot use the public roots of the operating system: ${state}; set SSL_CERT_FILE`,
  );
}

/** Where the bundle is looked for, in order. */
export function systemBundlePaths(): readonly string[] {
  const configured = Deno.env.get("SSL_CERT_FILE");
  return configured === undefined || configured === "" ? SYSTEM_BUNDLES : [configured];
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
