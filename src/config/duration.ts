/** Durations as the configuration writes them: a whole number with a unit, `"500ms"`, `"10s"`, `"5m"`, `"1h"`. */

/** What a duration looks like; also the pattern of the JSON Schema. */
export const DURATION_PATTERN = /^[0-9]+(ms|s|m|h)$/;

/**
 * Reads a duration.
 *
 * @returns Milliseconds, a safe integer; `null` if `text` is no duration or too long to count.
 */
export function parseDuration(text: string): number | null {
  const unit = DURATION_PATTERN.exec(text)?.[1];
  if (unit === undefined) return null;
  const milliseconds = Number(text.slice(0, -unit.length)) * (MILLISECONDS[unit] ?? NaN);
  return Number.isSafeInteger(milliseconds) ? milliseconds : null;
}

const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
