import assert from "node:assert/strict";
import { cipherSuiteCode } from "../../src/tls/cipher_suites.ts";
import { TRANSITIONS } from "../../src/connection/state.ts";
import { describeEvent } from "../../src/admin/page/event_words.ts";
import { describeReason, REASONS } from "../../src/admin/page/reason_words.ts";
import { describeRejection, REJECTIONS } from "../../src/admin/page/rejection_words.ts";
import { describeState, stateAfter } from "../../src/admin/page/state_words.ts";
import { cipherName, describeCipher, describeVersion } from "../../src/admin/page/tls_words.ts";

Deno.test("every CloseReason of src/errors.ts has words, and whoever has to act is told what to do", () => {
  const reasons = tokensOf("CloseReason");
  assert.ok(reasons.length >= 20);
  for (const reason of reasons) {
    assert.ok(Object.hasOwn(REASONS, reason), reason);
    const { tone, title, meaning, next } = describeReason(reason);
    assert.match(title, /^\S.{3,40}$/, reason);
    assert.match(meaning, /^\p{L}.{10,}\.$/u, reason);
    assert.ok(!title.includes("_"), `${reason}: a token is no title`);
    if (tone === "refused" || tone === "failed") assert.match(next ?? "", /\.$/, reason);
  }
  const titles = reasons.map((reason) => describeReason(reason).title);
  assert.equal(new Set(titles).size, titles.length, "two reasons must not look the same");
});

Deno.test("every RejectionCode of src/errors.ts has a next step", () => {
  const codes = tokensOf("RejectionCode");
  assert.ok(codes.length >= 20);
  for (const code of codes) {
    assert.ok(Object.hasOwn(REJECTIONS, code), code);
    assert.match(describeRejection(code) ?? "", /^\p{L}.{10,}\.$/u, code);
  }
});

Deno.test("a token from elsewhere is shown as it is, a name of Object's too", () => {
  assert.equal(describeReason("brand_new").title, "brand_new");
  assert.equal(describeReason("constructor").title, "constructor");
  assert.equal(describeRejection("toString"), null);
});

Deno.test("every state has words, and every step leads where state.ts says", () => {
  for (const [state, steps] of Object.entries(TRANSITIONS)) {
    assert.notEqual(describeState(state), "", state);
    for (const [step, to] of Object.entries(steps)) {
      if (to !== "closed") assert.equal(stateAfter(step), to, step);
    }
  }
  assert.equal(describeState("some_day"), "some day");
});

Deno.test("every cipher suite of src/tls/cipher_suites.ts has a name", () => {
  const names = readSource("tls/cipher_suites.ts").matchAll(/"(TLS_\w+)"/g);
  let count = 0;
  for (const [, name] of names) {
    const code = cipherSuiteCode(name!);
    assert.match(cipherName(code), new RegExp(`^${name} \\(0x[0-9A-F]{4}\\)$`));
    assert.match(describeCipher(code), /^(AES-(128|256)-GCM|ChaCha20-Poly1305)$/);
    count++;
  }
  assert.ok(count >= 9);
});

Deno.test("versions and suites without a name are given in hexadecimal", () => {
  assert.equal(describeVersion(0x0303), "TLS 1.2");
  assert.equal(describeVersion(0x0304), "TLS 1.3");
  assert.equal(describeVersion(0x0305), "TLS 0x0305");
  assert.equal(describeCipher(0xa), "cipher 0x000A");
  assert.match(describeVersion(null), /unknown/);
  assert.match(describeCipher(null), /unknown/);
});

Deno.test("an event that has no words shows its fields", () => {
  const event = { time: "2026-01-01T00:00:00Z", level: "info", event: "server.started", version: "1.2.3" };
  assert.equal(describeEvent(event), "version=1.2.3");
});

Deno.test("an event says what happened", () => {
  const base = { time: "2026-01-01T00:00:00Z", level: "info", connection: "c-1", route: "orders" };
  const tls = { tls_version: 0x0304, cipher_suite: 0x1301, resumed: true };
  assert.equal(
    describeEvent({ ...base, event: "handshake.completed", tls }),
    "TLS 1.3, AES-128-GCM, resumed session",
  );
  assert.equal(describeEvent({ ...base, event: "handshake.completed", tls: null }), "no TLS");
  assert.equal(
    describeEvent({
      ...base,
      event: "connection.closed",
      reason: "peer_rejected",
      detail: "it has expired",
      duration_ms: 1500,
      bytes_from_client: 0,
      bytes_from_backend: 2048,
    }),
    "Client certificate refused: it has expired (after 1 s; 0 B from client, 2.0 kB from backend)",
  );
  assert.equal(
    describeEvent({ ...base, event: "config.warning", problem: { path: "proxy[0]", message: "ends soon" } }),
    "proxy[0]: ends soon",
  );
});

/** The members of a union of string literals in src/errors.ts. */
function tokensOf(type: string): string[] {
  const [, members] = readSource("errors.ts").match(new RegExp(`export type ${type} =([^;]+);`)) ?? [];
  return [...members!.matchAll(/"(\w+)"/g)].map(([, token]) => token!);
}

function readSource(path: string): string {
  return Deno.readTextFileSync(new URL(`../../src/${path}`, import.meta.url));
}
