import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { makeNonce, sha256 } from "../../src/auth/hashing.ts";

Deno.test("sha256.hmac gives what the runtime's own HMAC gives, whatever came before", () => {
  const bytes = fc.uint8Array({ maxLength: 64 });
  fc.assert(fc.property(bytes, fc.uint8Array({ maxLength: 300 }), (key, data) => {
    const expected = createHmac("sha256", key).update(data).digest();
    assert.deepEqual(Uint8Array.from(sha256.hmac(key, data)), Uint8Array.from(expected));
  }));
});

// https://www.rfc-editor.org/rfc/rfc4231#section-4.3
Deno.test("sha256.hmac gives test case 2 of RFC 4231", () => {
  const text = new TextEncoder();
  const code = sha256.hmac(text.encode("Jefe"), text.encode("what do ya want for nothing?"));
  assert.equal(
    Uint8Array.from(code).toHex(),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  );
});

Deno.test("sha256.hmac refuses a key that it would have to hash first, and leaves keys as they are", () => {
  assert.throws(() => sha256.hmac(new Uint8Array(65), new Uint8Array(1)), RangeError);
  const key = new Uint8Array(32).fill(7);
  sha256.hmac(key, key);
  assert.deepEqual(key, new Uint8Array(32).fill(7));
});

Deno.test("sha256.hmac leaves nothing of a key behind", () => {
  const { fill } = Uint8Array.prototype;
  const filled: Uint8Array[] = [];
  Uint8Array.prototype.fill = function (...values) {
    filled.push(this);
    return fill.apply(this, values);
  };
  try {
    sha256.hmac(new Uint8Array([1, 2, 3]), new Uint8Array(1));
  } finally {
    Uint8Array.prototype.fill = fill;
  }
  const blocks = filled.filter(({ length }) => length === 64);
  assert.ok(blocks.length > 0);
  for (const block of blocks) assert.deepEqual(block, new Uint8Array(64));
});

Deno.test("makeNonce() gives 144 bits that are printable, without a comma, and never the same", () => {
  const nonces = Array.from({ length: 1_000 }, makeNonce);
  assert.equal(new Set(nonces).size, nonces.length);
  for (const nonce of nonces) assert.match(nonce, /^[A-Za-z0-9+/]{24}$/);
  // Any of 64 characters, at every place: that a thousand have 16 fewer does not happen.
  for (let place = 0; place < 24; place++) {
    assert.ok(new Set(nonces.map((nonce) => nonce[place])).size > 48);
  }
});
