/** CRC-32C (Castagnoli), the checksum of PROXY protocol headers (RFC 3720, appendix B.4). */

/** The checksum of `bytes`, as an unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** 0x1edc6f41 with its bits reversed. */
const POLYNOMIAL = 0x82f63b78;
