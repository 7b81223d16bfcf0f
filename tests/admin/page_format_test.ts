import assert from "node:assert/strict";
import fc from "fast-check";
import {
  formatBytes,
  formatCount,
  formatDate,
  formatDuration,
  formatNumber,
  formatTime,
} from "../../src/admin/page/format.ts";
import { describeValidity, validityOf } from "../../src/admin/page/validity.ts";

Deno.test("formatBytes gives three digits at most, in PostgreSQL's units", () => {
  const cases: [number, string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 kB"],
    [10 * 1024, "10 kB"],
    [1024 * 1024 - 1, "1.0 MB"],
    [1.5 * 1024 ** 3, "1.5 GB"],
    [999 * 1024 ** 4, "999 TB"],
    [2 ** 53, "8.0 PB"],
  ];
  for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text);
  fc.assert(
    fc.property(fc.nat({ max: Number.MAX_SAFE_INTEGER }), (bytes) => {
      assert.match(formatBytes(bytes), /^(\d{1,4} B|\d{1,3} [kMGTP]B|\d\.\d [kMGTP]B)$/);
    }),
  );
});

Deno.test("formatDuration gives the two largest units", () => {
  const cases: [number, string][] = [
    [-5, "0 ms"],
    [999.9, "999 ms"],
    [1000, "1 s"],
    [59_999, "59 s"],
    [60_000, "1 min 00 s"],
    [185_000, "3 min 05 s"],
    [3_600_000, "1 h 00 min"],
    [86_399_000, "23 h 59 min"],
    [100 * 3_600_000, "4 d 4 h"],
  ];
  for (const [ms, text] of cases) assert.equal(formatDuration(ms), text);
});

Deno.test("formatTime names the date only of another day", () => {
  const at = new Date(2026, 2, 9, 7, 5, 3).getTime();
  assert.equal(formatTime(at, at + 1000), "07:05:03");
  assert.equal(formatTime(at, at + 24 * 3_600_000), "2026-03-09 07:05:03");
  assert.equal(formatDate(at), "2026-03-09");
  assert.match(formatTime(NaN, at), /unknown/);
});

Deno.test("numbers have their thousands apart, and one is singular", () => {
  assert.equal(formatNumber(1_234_567), "1,234,567");
  assert.equal(formatNumber(999), "999");
  assert.equal(formatCount(1, "connection"), "1 connection");
  assert.equal(formatCount(12_000, "connection"), "12,000 connections");
});

Deno.test("describeValidity tells the end in words that never promise more than is left", () => {
  const now = Date.UTC(2026, 0, 10);
  const began = now - 100 * DAY_MS;
  const cases: [notBefore: number, notAfter: number, validity: string, words: string][] = [
    [began, now - 3 * DAY_MS, "ended", "ended 3 days ago"],
    [began, now - 1, "ended", "ended 0 minutes ago"],
    [began, now + 30 * 60_000, "soon", "ends in 30 minutes"],
    [began, now + 5.9 * 3_600_000, "soon", "ends in 5 hours"],
    [began, now + 1.5 * DAY_MS, "soon", "ends in 36 hours"],
    [began, now + 2.9 * DAY_MS, "soon", "2 days left"],
    [began, now + 14 * DAY_MS, "good", "14 days left"],
    [began, now + 3650 * DAY_MS, "good", "3,650 days left"],
    [now + DAY_MS, now + 90 * DAY_MS, "not_yet", "valid in 24 hours"],
  ];
  for (const [notBefore, notAfter, validity, words] of cases) {
    const span = { notBefore, notAfter };
    assert.equal(validityOf(span, now), validity, words);
    assert.equal(describeValidity(span, now), words);
  }
});

Deno.test("a certificate whose dates cannot be read is not called good", () => {
  assert.equal(validityOf({ notBefore: 0, notAfter: NaN }, 1), "ended");
  assert.equal(validityOf({ notBefore: NaN, notAfter: 2 }, 1), "not_yet");
  assert.equal(describeValidity({ notBefore: 0, notAfter: NaN }, 1), "end unknown");
});

const DAY_MS = 24 * 60 * 60 * 1000;
