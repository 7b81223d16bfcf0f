/** How a certificate stands with time. */

/** `ended` and `not_yet` stop connections now; `soon` is within the two weeks in which `pgtls check` warns, too. */
export type Validity = "ended" | "not_yet" | "soon" | "good";

/** When a certificate is valid; milliseconds since 1970. */
export interface Span {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Where `now` stands in `span`. Dates that cannot be read count as ended: they need somebody's eyes. */
export function validityOf({ notBefore, notAfter }: Span, now: number): Validity {
  if (!(notAfter >= now)) return "ended";
  if (!(notBefore <= now)) return "not_yet";
  return notAfter - now < SOON_MS ? "soon" : "good";
}

/** The same in words: `ended 3 days ago`, `ends in 5 hours`, `12 days left`. */
export function describeValidity(span: Span, now: number): string {
  const { notBefore, notAfter } = span;
  if (!Number.isFinite(notAfter)) return "end unknown";
  switch (validityOf(span, now)) {
    case "ended":
      return `ended ${inWords(now - notAfter)} ago`;
    case "not_yet":
      return `valid in ${inWords(notBefore - now)}`;
    default:
      return notAfter - now < 2 * DAY_MS
        ? `ends in ${inWords(notAfter - now)}`
        : `${inWords(notAfter - now)} left`;
  }
}

/** Whole units only: what is left is never made to look longer than it is. */
function inWords(ms: number): string {
  const days = Math.floor(ms / DAY_MS);
  if (days >= 2) return `${String(days).replace(/\B(?=(\d{3})+$)/g, ",")} days`;
  const hours = Math.floor(ms / HOUR_MS);
  if (hours >= 1) return hours === 1 ? "1 hour" : `${hours} hours`;
  const minutes = Math.floor(ms / MINUTE_MS);
  return minutes === 1 ? "1 minute" : `${minutes} minutes`;
}

const MINUTE_MS = 60 * 1000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const SOON_MS = 14 * DAY_MS;
