/** The known word nearest to a mistyped one. */

/**
 * Finds the word of `known` that was probably meant.
 *
 * @returns The nearest word, if fewer than a third of its letters would have to change; else `null`.
 */
export function suggest(word: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Infinity;
  // No key is longer than this; the table below would grow with a word that is.
  if (word.length > 40) return null;
  const plain = word.toLowerCase().replaceAll("-", "_");
  for (const candidate of known) {
    const distance = editDistance(plain, candidate);
    if (distance >= bestDistance || distance * 3 > candidate.length) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

/** Levenshtein distance: insertions, deletions and replacements that turn one word into the other. */
function editDistance(one: string, other: string): number {
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row++) {
    const current = [row];
    for (let column = 1; column <= other.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (one[row - 1] === other[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[other.length] ?? 0;
}
