/** What the verifier says of a chain, in one word. */

import type { Issued } from "./chain_builder.ts";
import { PeerRejectedError } from "../../src/errors.ts";
import { TrustStore } from "../../src/tls/trust_store.ts";
import { verifyBackend, verifyClient } from "../../src/tls/verify.ts";

/** A store of these certificates. */
export function trustIn(...certificates: readonly Issued[]): TrustStore {
  return TrustStore.parse(certificates.map((certificate) => certificate.pem).join(""));
}

/** `"accepted"` or the rejection code, as a backend called `localhost`. */
export function backendVerdict(presented: readonly Issued[], trust: TrustStore, now?: number): string {
  return verdict(() => {
    const policy = { trust, tlsVerify: "full", serverName: "localhost" } as const;
    verifyBackend(presented.map((certificate) => certificate.der), policy, now === undefined ? {} : { now });
  });
}

/** The same as a client that must have a certificate. */
export function clientVerdict(presented: readonly Issued[], trust: TrustStore, now?: number): string {
  return verdict(() => {
    const chain = presented.map((certificate) => certificate.der);
    verifyClient(chain, { mtls: true, trust }, now === undefined ? {} : { now });
  });
}

/** `"accepted"`, or the code with which `attempt` refused. Any other error goes on. */
export function verdict(attempt: () => void): string {
  try {
    attempt();
    return "accepted";
  } catch (error) {
    if (error instanceof PeerRejectedError) return error.code;
    throw error;
  }
}
