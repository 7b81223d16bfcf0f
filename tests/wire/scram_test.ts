/** Both roles of SCRAM: against the vector of RFC 7677, back to back, and against whoever lies. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { sha256 } from "../../src/auth/hashing.ts";
import { ProtocolError } from "../../src/errors.ts";
import { SCRAM_SHA_256, SCRAM_SHA_256_PLUS } from "../../src/wire/authentication.ts";
import type { ScramVerifier } from "../../src/wire/scram.ts";
import { type ScramBinding, ScramClient } from "../../src/wire/scram_client.ts";
import { ScramServer } from "../../src/wire/scram_server.ts";
import { makeVerifier, runScram, type ScramStep } from "../support/scram.ts";
import { bytesOf } from "./bytes.ts";

const HASH = new Uint8Array(32).fill(0xce);
const OTHER_HASH = new Uint8Array(32).fill(0xcf);
const BOUND: ScramBinding = { kind: "bound", endPointHash: HASH };
const secret = await makeVerifier("secret");
const wrong = await makeVerifier("wrong");

Deno.test("ScramServer takes and gives the messages of RFC 7677", async () => {
  const salt = Uint8Array.fromBase64("W22ZaJ0SNY7soEsUEjb6gQ==");
  const verifier = await makeVerifier("pencil", { salt });
  const nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  const server = new ScramServer({ verifier, nonce, endPointHash: null, hashing: sha256 });
  assert.deepEqual(
    server.first(SCRAM_SHA_256, bytesOf("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")),
    bytesOf(`r=rOprNGfwEbeRWgbNEkqO${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`),
  );
  const proven = server.final(
    bytesOf(`c=biws,r=rOprNGfwEbeRWgbNEkqO${nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=`),
  );
  assert.deepEqual(proven?.serverFinal, bytesOf("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
  assert.deepEqual(Uint8Array.from(proven!.clientKey), Uint8Array.from(verifier.clientKey));
});

Deno.test("Both roles agree with and without channel binding, and the server recovers the client's key", () => {
  const cases: [ScramBinding, Uint8Array | null][] = [
    [BOUND, HASH],
    [{ kind: "unsupported" }, HASH],
    [{ kind: "unsupported" }, null],
    [{ kind: "not_offered" }, null],
  ];
  for (const [binding, endPointHash] of cases) {
    const { proven, isServerKnown } = runScram({ verifier: secret, keys: secret, binding, endPointHash });
    assert.deepEqual(Uint8Array.from(proven!.clientKey), Uint8Array.from(secret.clientKey));
    assert.ok(isServerKnown);
  }
});

Deno.test("A wrong password, and a server without the verifier, are found out", () => {
  assert.equal(run({ keys: wrong }).proven, null);
  const impostor: ScramVerifier = { ...secret, serverKey: wrong.serverKey };
  const { proven, isServerKnown } = run({ verifier: impostor });
  assert.ok(proven !== null);
  assert.equal(isServerKnown, false);
});

Deno.test("ScramServer refuses a login bound to another certificate: somebody stands between", () => {
  assert.throws(() => run({ binding: { kind: "bound", endPointHash: OTHER_HASH } }), {
    name: "ProtocolError",
    message: "SCRAM channel binding check failed",
    sqlstate: "28000",
  });
});

Deno.test("ScramServer refuses a client that was not shown the offer of channel binding", () => {
  assert.throws(() => run({ binding: { kind: "not_offered" } }), {
    name: "ProtocolError",
    sqlstate: "28000",
  });
});

Deno.test("A network that changes the binding flag on the way is found out by the proof", () => {
  const flags: [from: ScramBinding, to: string][] = [
    [{ kind: "unsupported" }, "y,,"],
    [{ kind: "not_offered" }, "n,,"],
  ];
  for (const [binding, header] of flags) {
    const tamper = (message: Uint8Array, step: ScramStep) =>
      step === "client-first" ? bytesOf(header, message.subarray(3)) : message;
    assert.throws(
      () => run({ binding, endPointHash: null, tamper }),
      /unexpected SCRAM channel-binding attribute/,
    );
    const both = (message: Uint8Array, step: ScramStep) =>
      step === "client-final"
        ? bytesOf(`c=${bytesOf(header).toBase64()}`, message.subarray("c=biws".length))
        : tamper(message, step);
    assert.equal(run({ binding, endPointHash: null, tamper: both }).proven, null);
  }
});

Deno.test("ScramServer refuses flags that do not fit the mechanism, and other kinds of binding", () => {
  const cases: [mechanism: string, message: string, says: RegExp][] = [
    [SCRAM_SHA_256_PLUS, "n,,n=,r=abc", /does not include channel binding data/],
    [SCRAM_SHA_256_PLUS, "y,,n=,r=abc", /does not include channel binding data/],
    [SCRAM_SHA_256, "p=tls-server-end-point,,n=,r=abc", /includes channel binding data/],
    [SCRAM_SHA_256_PLUS, "p=tls-unique,,n=,r=abc", /unsupported SCRAM channel-binding type/],
    [SCRAM_SHA_256_PLUS, "p=tls-exporter,,n=,r=abc", /unsupported SCRAM channel-binding type/],
    [SCRAM_SHA_256, "n,a=bob,n=,r=abc", /authorization identity/],
    [SCRAM_SHA_256, "n,,m=x,n=,r=abc", /unsupported extension/],
    ["SCRAM-SHA-1", "n,,n=,r=abc", /invalid SASL authentication mechanism/],
    ["", "n,,n=,r=abc", /invalid SASL authentication mechanism/],
  ];
  for (const [mechanism, message, says] of cases) {
    assert.throws(() => makeServer(HASH).first(mechanism, bytesOf(message)), says);
  }
  assert.throws(
    () => makeServer(null).first(SCRAM_SHA_256_PLUS, bytesOf("p=tls-server-end-point,,n=,r=a")),
    /invalid SASL/,
  );
});

Deno.test("ScramServer refuses a first message with attributes missing, doubled, out of order or malformed", () => {
  const messages = [
    "",
    "n",
    "n,",
    "n,,",
    "n,,r=abc",
    "n,,n=",
    "n,,n=,r=",
    "n,,n=,r=abc,r=abc",
    "n,,n=,n=,r=abc",
    "n,,r=abc,n=",
    "x,,n=,r=abc",
    "N,,n=,r=abc",
    "p=,,n=,r=abc",
    "n,n=,r=abc",
    "n,,n=,r=a\x7fb",
    "n,,n=,r=a b",
    "n,,n=,r=abc,",
    "n,,n=,r=abc,x",
    "n,,n=,r=abc,x=",
    "n,,n=\0,r=abc",
    "n,,n=,r=ab\xff",
    " n,,n=,r=abc",
  ];
  for (const message of messages) {
    assert.throws(() => makeServer(null).first(SCRAM_SHA_256, bytesOf(message)), ProtocolError, message);
  }
});

Deno.test("ScramServer ignores the user name in the message, and optional extensions", () => {
  for (const bare of ["n=,r=abc", "n=mallory,r=abc", "n=\xff=2C,r=abc", "n=,r=abc,x=1,z=2"]) {
    const answer = makeServer(null).first(SCRAM_SHA_256, bytesOf(`n,,${bare}`));
    assert.match(String.fromCharCode(...answer), /^r=abcs{24},s=[^,]+,i=4096$/);
  }
});

Deno.test("ScramServer refuses a last message that is malformed, or of another exchange", () => {
  const nonce = `abc${"s".repeat(24)}`;
  const proof = "A".repeat(43) + "=";
  const messages = [
    "",
    `c=biws,r=${nonce}`,
    `c=biws,p=${proof}`,
    `r=${nonce},c=biws,p=${proof}`,
    `c=biws,r=${nonce},p=`,
    `c=biws,r=${nonce},p=${proof},x=1`,
    `c=biws,r=${nonce},p=${proof},p=${proof}`,
    `c=biws,c=biws,r=${nonce},p=${proof}`,
    `c=biws,r=${nonce},p=AAAA`,
    `c=biws,r=${nonce},p=${"A".repeat(43)}`,
    `c=biws,r=${nonce},p=${proof} `,
    `c=biws,r=${nonce},p=${"A".repeat(42)}B=`,
    `c=biws,r=abc,p=${proof}`,
    `c=biws,r=${nonce}x,p=${proof}`,
    `c=eSws,r=${nonce},p=${proof}`,
    `c=,r=${nonce},p=${proof}`,
    `c=biwsAAAA,r=${nonce},p=${proof}`,
  ];
  for (const message of messages) {
    const server = makeServer(null);
    server.first(SCRAM_SHA_256, bytesOf("n,,n=,r=abc"));
    assert.throws(() => server.final(bytesOf(message)), ProtocolError, message);
  }
});

Deno.test("A proof is good for one login: replayed to another it is a message of another exchange", () => {
  const client = new ScramClient({ nonce: "abc", binding: { kind: "unsupported" }, hashing: sha256 });
  const first = makeServer(null);
  client.challenge(first.first(SCRAM_SHA_256, client.first()));
  const final = client.final(secret);
  assert.ok(first.final(final) !== null);
  assert.throws(() => first.final(final), /Cannot take a client-final-message now/);
  const second = makeServer(null, "t".repeat(24));
  second.first(SCRAM_SHA_256, client.first());
  assert.throws(() => second.final(final), /nonce does not match/);
});

Deno.test("ScramClient refuses a challenge that is malformed, or whose nonce is not its own", () => {
  const challenges = [
    "",
    "r=abcX",
    "r=abcX,s=AAAA",
    "r=abcX,i=4096",
    "s=AAAA,r=abcX,i=4096",
    "r=abcX,s=,i=4096",
    "r=abcX,s=AA,i=4096",
    "r=abcX,s=AAAA,i=0",
    "r=abcX,s=AAAA,i=-1",
    "r=abcX,s=AAAA,i=2147483648",
    "r=abcX,s=AAAA,i=04096",
    "r=abcX,s=AAAA,i=4096.5",
    "r=abcX,s=AAAA,i=1e3",
    "r=abcX,s=AAAA,i=4096,i=1",
    "r=abcX,r=abcX,s=AAAA,i=4096",
    "m=x,r=abcX,s=AAAA,i=4096",
    "r=abc,s=AAAA,i=4096",
    "r=Xabc,s=AAAA,i=4096",
    "r=,s=AAAA,i=4096",
    "e=other-error",
  ];
  for (const challenge of challenges) {
    const client = new ScramClient({ nonce: "abc", binding: BOUND, hashing: sha256 });
    assert.throws(() => client.challenge(bytesOf(challenge)), ProtocolError, challenge);
  }
});

Deno.test("ScramClient refuses a server that errs, mumbles, or cannot sign", () => {
  for (const message of ["", "e=invalid-proof", "v=", "v=!", "x=1", "v=AAAA,v=AAAA"]) {
    assert.throws(() => makeProvenClient().verify(bytesOf(message)), ProtocolError, message);
  }
  for (const message of ["v=AAAA", `v=${"A".repeat(43)}=`]) {
    assert.equal(makeProvenClient().verify(bytesOf(message)), false);
  }
});

Deno.test("Whatever single byte is changed on the way, no login comes of it", () => {
  const steps: ScramStep[] = ["client-first", "server-first", "client-final", "server-final"];
  fc.assert(fc.property(
    fc.constantFrom(...steps),
    fc.nat({ max: 200 }),
    fc.integer({ min: 1, max: 255 }),
    fc.boolean(),
    (at, position, flip, isBound) => {
      const tamper = (message: Uint8Array, step: ScramStep) =>
        step === at
          ? message.map((byte, i) => i === position % message.length ? byte ^ flip : byte)
          : message;
      const binding: ScramBinding = isBound ? BOUND : { kind: "unsupported" };
      try {
        assert.equal(run({ binding, tamper }).isServerKnown, false);
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error));
      }
    },
  ));
});

Deno.test("Both machines answer any bytes at all with an answer or a ProtocolError", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.string({ maxLength: 80 }), (bytes, text) => {
    for (
      const message of [
        bytes,
        new TextEncoder().encode(text),
        bytesOf("n,,", bytes),
        bytesOf("c=biws,r=", bytes),
      ]
    ) {
      const server = makeServer(null);
      onlyProtocolErrors(() => server.first(SCRAM_SHA_256, message));
      const begun = makeServer(null);
      begun.first(SCRAM_SHA_256, bytesOf("n,,n=,r=abc"));
      onlyProtocolErrors(() => begun.final(message));
      const client = new ScramClient({ nonce: "abc", binding: BOUND, hashing: sha256 });
      onlyProtocolErrors(() => client.challenge(message));
      onlyProtocolErrors(() => makeProvenClient().verify(message));
    }
  }));
});

function run(options: Partial<Parameters<typeof runScram>[0]>) {
  return runScram({ verifier: secret, keys: secret, binding: BOUND, endPointHash: HASH, ...options });
}

function makeServer(endPointHash: Uint8Array | null, nonce = "s".repeat(24)): ScramServer {
  return new ScramServer({ verifier: secret, nonce, endPointHash, hashing: sha256 });
}

function makeProvenClient(): ScramClient {
  const client = new ScramClient({ nonce: "abc", binding: BOUND, hashing: sha256 });
  client.challenge(bytesOf("r=abcX,s=AAAA,i=4096"));
  client.final(secret);
  return client;
}

function onlyProtocolErrors(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
  }
}
