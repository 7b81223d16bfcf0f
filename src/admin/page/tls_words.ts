/** TLS versions and cipher suites in words. */

/** `TLS 1.3` for 772; a version nobody has named yet in hexadecimal. */
export function describeVersion(code: number | null): string {
  if (code === null) return "TLS of a version unknown";
  return VERSIONS.get(code) ?? `TLS 0x${hex(code)}`;
}

/** How data is encrypted, shortly: `AES-256-GCM`. */
export function describeCipher(code: number | null): string {
  if (code === null) return "cipher unknown";
  return SUITES.get(code)?.[0] ?? `cipher 0x${hex(code)}`;
}

/** The suite's IANA name and number, for whoever has to look it up. */
export function cipherName(code: number | null): string {
  if (code === null) return "unknown";
  const name = SUITES.get(code)?.[1];
  return name === undefined ? `0x${hex(code)}` : `${name} (0x${hex(code)})`;
}

function hex(code: number): string {
  return code.toString(16).toUpperCase().padStart(4, "0");
}

const VERSIONS = new Map([
  [0x0303, "TLS 1.2"],
  [0x0304, "TLS 1.3"],
]);

// Every suite of src/tls/cipher_suites.ts; a test holds the two together.
const SUITES = new Map([
  [0x1301, ["AES-128-GCM", "TLS_AES_128_GCM_SHA256"]],
  [0x1302, ["AES-256-GCM", "TLS_AES_256_GCM_SHA384"]],
  [0x1303, ["ChaCha20-Poly1305", "TLS_CHACHA20_POLY1305_SHA256"]],
  [0xc02b, ["AES-128-GCM", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]],
  [0xc02c, ["AES-256-GCM", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]],
  [0xc02f, ["AES-128-GCM", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]],
  [0xc030, ["AES-256-GCM", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"]],
  [0xcca8, ["ChaCha20-Poly1305", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"]],
  [0xcca9, ["ChaCha20-Poly1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256"]],
]);
