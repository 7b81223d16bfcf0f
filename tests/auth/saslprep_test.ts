import assert from "node:assert/strict";
import { preparePassword } from "../../src/auth/saslprep.ts";

const encode = (text: string) => new TextEncoder().encode(text);

Deno.test("preparePassword() normalises as RFC 4013 says", async () => {
  // The examples of RFC 4013 section 3, and what the mapping tables do.
  const cases = [
    ["I\u00adX", "IX"],
    ["user", "user"],
    ["USER", "USER"],
    ["\u00aa", "a"],
    ["\u2168", "IX"],
    ["pass\u00a0word", "pass word"],
    ["ﬁ", "fi"],
  ];
  for (const [password, prepared] of cases) {
    assert.deepEqual(await preparePassword(encode(password!)), encode(prepared!));
  }
});

Deno.test("preparePassword() leaves what cannot be prepared as it is, like PostgreSQL", async () => {
  const passwords = ["\u0007", "ä\u0007", "\u0627\u0031", "\u00ad", "\u{e0041}ä", "\u{378}"].map(encode);
  for (const password of [...passwords, Uint8Array.of(0xff, 0x41), Uint8Array.of(), encode("\ufeff")]) {
    assert.deepEqual(await preparePassword(password), password);
  }
});
