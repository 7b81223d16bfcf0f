/** What is counted, as places in a table. */

import { createHash } from "node:crypto";

/** One number for each row of a table; see {@linkcode makeKey}. */
export type Key = readonly number[];

/**
 * Tells where in each row of a table something is counted. Two keys may meet in a row; that they meet in all of them is
 * left to chance, because nobody outside knows the secret.
 *
 * @param secret Of the process, at least 16 bytes.
 * @param parts What is counted, in any characters.
 */
export function makeKey(secret: Uint8Array, parts: readonly string[]): Key {
  const words = createHash("sha256").update(secret).update(JSON.stringify(parts)).digest();
  const key: number[] = [];
  for (let row = 0; row < ROWS; row++) key.push(words.readUint32BE(4 * row));
  return key;
}

/** Another key for the same, of something else that is counted of it. */
export function otherKey(key: Key): Key {
  return key.map((word) => ~word >>> 0);
}

/** The cells of `key` in a table of {@linkcode ROWS} rows. @param rowCells A power of two. */
export function cellsOf(key: Key, rowCells: number): number[] {
  return key.map((word, row) => row * rowCells + (word & (rowCells - 1)));
}

/** With a tenth of each row in use one key in 10,000 meets others in all of them. */
export const ROWS = 4;
