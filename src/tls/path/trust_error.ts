/** What is wrong with the files a trust store is made of. */

import { parsePem, type PemBlock, PemError } from "./pem.ts";

/** The bundle or the CRLs cannot be used. The message is for the operator and leaves the path to the caller. */
export class TrustStoreError extends Error {
  override readonly name = "TrustStoreError";
}

/** The PEM blocks of `what`. @throws {TrustStoreError} If it is not PEM. */
export function readPem(pem: string, what: string): PemBlock[] {
  try {
    return parsePem(pem);
  } catch (error) {
    if (!(error instanceof PemError)) throw error;
    throw new TrustStoreError(`Cannot read ${what}: ${error.message}`, { cause: error });
  }
}
