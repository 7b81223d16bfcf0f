import assert from "node:assert/strict";
import fc from "fast-check";
import { parseUserlist, parseVerifier, readUserlist } from "../../src/auth/userlist.ts";
import { formatVerifier, makeVerifier } from "../support/scram.ts";

const alice = await makeVerifier("secret");
const bob = await makeVerifier("hidden", { iterations: 10_000 });
const A = formatVerifier(alice);
const B = formatVerifier(bob);

Deno.test("readUserlist() reads what pg_authid and PgBouncer write", () => {
  const text = `; PgBouncer's comment\n# ours\n\n"alice" "${A}"\r\n  "b""ob"\t"${B}"  ; behind\n"ünï" "${A}"`;
  const { users, problems, warnings } = read(text);
  assert.deepEqual([problems, warnings], [[], []]);
  assert.deepEqual([...users!.verifiers.keys()], ["alice", 'b"ob', "ünï"]);
  const { iterations, salt, storedKey, serverKey } = users!.verifiers.get('b"ob')!;
  assert.equal(formatVerifier({ iterations, salt, storedKey, serverKey }), B);
  assert.deepEqual(users!.common, { iterations: 4096, saltBytes: 16 });
});

Deno.test("readUserlist() refuses by line number what is no verifier, and never shows it", () => {
  const cases: [line: string, says: RegExp][] = [
    ['"alice" "opensesame"', /line 2: user "alice" has a plaintext password, expected a SCRAM verifier/],
    ['"alice" "md5c9c8f8ba1c3b3e9a29aef2b0c8e9f5a1"', /line 2: user "alice" has an md5 password/],
    ['"alice" ""', /line 2: user "alice" has no password/],
    [`"alice" "${A.slice(0, -4)}"`, /line 2: user "alice" has a malformed SCRAM verifier/],
    [`"alice" "${A.replace("$4096:", "$0:")}"`, /a malformed SCRAM verifier/],
    [`"alice" "${A.replace("$4096:", "$2147483648:")}"`, /a malformed SCRAM verifier/],
    [`"" "${A}"`, /line 2 has an empty user name/],
    ["alice opensesame", /line 2 cannot be read, expected "name" "SCRAM-SHA-256\$…"/],
    ['"alice"', /line 2 cannot be read/],
    ['"alice" "opensesame', /line 2 cannot be read/],
    [`"alice" "${A}" "opensesame"`, /line 2 cannot be read/],
    [`"alice" "${A}"\n"alice" "${B}"`, /line 3 has user "alice" again, after line 2/],
    ['"ali\0ce" "opensesame"', /line 2 cannot be read/],
  ];
  for (const [line, says] of cases) {
    const { users, problems } = read(`; first\n${line}\n"carol" "${A}"\n`);
    assert.equal(users, null);
    assert.equal(problems.length, 1, line);
    assert.match(problems[0]!, says);
    for (const secret of ["opensesame", "c9c8f8ba", A.slice(30, 50)]) {
      assert.ok(!problems[0]!.includes(secret), line);
    }
  }
});

Deno.test("readUserlist() refuses an empty file and bytes that are not UTF-8, and names twenty lines at most", () => {
  assert.match(read("; nobody\n").problems[0]!, /it holds no user/);
  assert.match(read(Uint8Array.of(0x22, 0xff, 0x22)).problems[0]!, /it is not UTF-8/);
  const { problems } = read("x\n".repeat(50));
  assert.equal(problems.length, 21);
  assert.match(problems[20]!, /30 more lines/);
});

Deno.test("parseUserlist() takes any text, and any user name that can be written", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
    const { verifiers, mistakes } = parseUserlist(text);
    assert.ok(verifiers.size === 0 || mistakes.length >= 0);
    const name = text.replace(/[\0\n]/g, "");
    if (name === "") return;
    const entry = parseUserlist(`"${name.replaceAll('"', '""')}" "${A}"`);
    assert.deepEqual([[...entry.verifiers.keys()], entry.mistakes], [[name], []]);
  }));
});

Deno.test("parseVerifier() takes nothing but a whole verifier of SHA-256", () => {
  assert.ok(parseVerifier(A) !== null);
  for (
    const text of [
      "",
      ` ${A}`,
      `${A} `,
      `${A}\n`,
      A.replace("256", "1"),
      A.toLowerCase(),
      A.replace(":", "::"),
      `${A}:`,
    ]
  ) {
    assert.equal(parseVerifier(text), null, text);
  }
});

function read(content: string | Uint8Array) {
  const [problems, warnings]: [string[], string[]] = [[], []];
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const report = {
    problem: (m: string) => void problems.push(m),
    warning: (m: string) => void warnings.push(m),
  };
  return { users: readUserlist("users.txt", { bytes, mode: 0o600, uid: 1000 }, report), problems, warnings };
}
