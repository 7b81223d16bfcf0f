/** Numbers and times as people read them. */

/** Bytes with the units of PostgreSQL's `pg_size_pretty` (1 kB = 1024 bytes), three digits at most. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  let value = bytes;
  let unit = -1;
  // Below 999.5, so that rounding never makes a fourth digit.
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** A length of time, the two largest units of it: `850 ms`, `12 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.floor(ms))} ms`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${pad(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${pad(minutes % 60)} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Local time of day with seconds; with the date when it is not today's. */
export function formatTime(at: number, now: number): string {
  if (!Number.isFinite(at)) return "at a time unknown";
  const date = new Date(at);
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(pad).join(":");
  return date.toDateString() === new Date(now).toDateString() ? time : `${formatDate(at)} ${time}`;
}

/** Local date, `2026-03-09`. */
export function formatDate(at: number): string {
  if (!Number.isFinite(at)) return "a date unknown";
  const date = new Date(at);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

/** `1 connection`, `2 connections`. */
export function formatCount(count: number, singular: string, plural = `${singular}s`): string {
  return `${formatNumber(count)} ${count === 1 ? singular : plural}`;
}

/** Thousands apart: `12,345`. */
export function formatNumber(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

const UNITS = ["kB", "MB", "GB", "TB", "PB"];
