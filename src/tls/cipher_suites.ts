/** The numbers of TLS versions and cipher suites, as they stand on the wire. */

/**
 * Gives the code of a cipher suite (as 0x1301) from its IANA name, which is node:tls's `getCipher().standardName`.
 *
 * Knows every suite rustls can negotiate.
 *
 * @returns The 16-bit code, or `null` for a name it does not know.
 * @see {@link https://www.iana.org/assignments/tls-parameters | IANA, TLS Cipher Suites}
 */
export function cipherSuiteCode(standardName: string): number | null {
  return CIPHER_SUITES.get(standardName) ?? null;
}

/**
 * Gives the ProtocolVersion of RFC 8446, section 4.2.1, from node:tls's `getProtocol()`.
 *
 * @returns 0x0303 or 0x0304, or `null` for any other text.
 */
export function tlsVersionCode(version: string): number | null {
  return TLS_VERSIONS.get(version) ?? null;
}

/** TLS 1.3: RFC 8446, appendix B.4. TLS 1.2: AES-GCM of RFC 5289, ChaCha20-Poly1305 of RFC 7905. */
const CIPHER_SUITES = new Map([
  ["TLS_AES_128_GCM_SHA256", 0x1301],
  ["TLS_AES_256_GCM_SHA384", 0x1302],
  ["TLS_CHACHA20_POLY1305_SHA256", 0x1303],
  ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 0xc02b],
  ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 0xc02c],
  ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0xc02f],
  ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", 0xc030],
  ["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca8],
  ["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 0xcca9],
]);

const TLS_VERSIONS = new Map([
  ["TLSv1.2", 0x0303],
  ["TLSv1.3", 0x0304],
]);
