import assert from "node:assert/strict";
import { parseConfig } from "../../src/config/parse.ts";
import type { AllowRule } from "../../src/config/types.ts";
import { allowRules } from "../../src/scope/apps/allow_rules.ts";
import type { ConnectionFacts } from "../../src/scope/build.ts";
import { CLIENT_AUTH, extendedKeyUsage } from "../support/certificate_extensions.ts";
import { issue, makeRoot } from "../support/chain_builder.ts";
import { makeCa } from "../support/pki.ts";
import { outcomeOf, scopeOf, TLS } from "./scope_support.ts";

type Rule = Readonly<Record<string, unknown>>;

const ca = makeCa({ name: "CA" });

/** A verified certificate of this name, with these alternative names. */
function certificate(name: string, sans?: readonly string[]): Partial<ConnectionFacts> {
  const { der } = ca.issue({ name, purpose: "client", ...(sans && { sans }) });
  return { tls: { ...TLS, clientChain: [der, ca.der] } };
}

/** A session: who asks for what, from where. */
function session(
  user: string,
  more: Partial<ConnectionFacts> & { database?: string; replication?: string } = {},
) {
  const { database = "orders", replication, ...facts } = more;
  const parameters = new Map([["user", user], ["database", database]]);
  if (replication !== undefined) parameters.set("replication", replication);
  return scopeOf({ ...facts, parameters });
}

const ALICE = certificate("alice");

const ALLOWED: readonly (readonly [what: string, rule: Rule, scope: ReturnType<typeof session>])[] = [
  ["a user by name", { users: "alice" }, session("alice")],
  ["a user of a list", { users: ["bob", "alice"] }, session("alice")],
  ["a user by regex", { users: "/al.*/" }, session("alice")],
  ["a user whose name has two bytes a letter", { users: "/j.rg/" }, session("jürg")],
  ["a database", { databases: ["orders", "/test_\\d+/"] }, session("alice", { database: "test_17" })],
  ["a client's address", { client_address: "203.0.113.9" }, session("alice")],
  ["a client's network", { client_address: ["10.0.0.0/8", "203.0.113.0/24"] }, session("alice")],
  [
    "a client's IPv6 network",
    { client_address: "2001:db8::/32" },
    session("alice", { client: ["2001:db8:1::1", 5] }),
  ],
  ["a certificate's subject", { client_cert_name: "CN=alice" }, session("root", ALICE)],
  ["a certificate's common name", { client_cert_cn: "/ali.*/" }, session("root", ALICE)],
  [
    "a DNS name",
    { client_cert_san: "a.example.com" },
    session("a", certificate("x", ["b.example.com", "a.example.com"])),
  ],
  [
    "an IP address in another spelling",
    { client_cert_san: "2001:db8::1" },
    session("a", certificate("x", ["2001:db8:0::1"])),
  ],
  ["all keys at once", {
    users: "alice",
    databases: "orders",
    client_address: "203.0.113.9",
    client_cert_cn: "alice",
  }, session("alice", ALICE)],
  ["the user a common name stands for", { client_cert_cn: "/(.*)/", users: "\\1" }, session("alice", ALICE)],
  ["the user in a subject", { client_cert_name: "/CN=([^,]*)/", users: "\\1" }, session("alice", ALICE)],
  [
    "a user made of a name",
    { client_cert_cn: "/(.*)/", users: "app_\\1_rw" },
    session("app_alice_rw", ALICE),
  ],
  [
    "a user by regex with a name in it",
    { client_cert_cn: "/(.*)/", users: "/\\1_(ro|rw)/" },
    session("alice_ro", ALICE),
  ],
  [
    "another user beside the captured one",
    { client_cert_cn: "/(.*)/", users: ["\\1", "reader"] },
    session("reader", ALICE),
  ],
  [
    "a user of any of a certificate's names",
    { client_cert_san: "/(.*)\\.example\\.com/", users: "\\1" },
    session("b", certificate("x", ["a.example.com", "b.example.com"])),
  ],
  [
    "logical replication of a database",
    { databases: "orders" },
    session("alice", { replication: "database" }),
  ],
  ["replication that is off", { databases: "orders" }, session("alice", { replication: "off" })],
  [
    "physical replication by a rule without databases",
    { users: "alice" },
    session("alice", { replication: "true" }),
  ],
];

for (const [what, rule, scope] of ALLOWED) {
  Deno.test(`allowRules() lets in ${what}`, async () => {
    const { decision } = await outcomeOf(allowRules(rulesOf(rule)), { scope });
    assert.equal(typeof decision === "string" ? decision : decision.kind, "accepted");
  });
}

const refused = { ...certificate("alice").tls!, clientCertError: "Cannot accept it" };

const DENIED:
  readonly (readonly [what: string, rule: Rule, scope: ReturnType<typeof session>, detail: string])[] = [
    ["another user", { users: "alice" }, session("mallory"), 'allow[0] wants another user than "mallory"'],
    [
      "a user in other letters",
      { users: "alice" },
      session("Alice"),
      'allow[0] wants another user than "Alice"',
    ],
    [
      "a user with a regex in the middle",
      { users: "/admin/" },
      session("not_an_admin"),
      'another user than "not_an_admin"',
    ],
    ["a user with a regex in front", { users: "/admin/" }, session("admin2"), 'another user than "admin2"'],
    [
      "one side of an alternative",
      { users: "/alice|bob/" },
      session("alice_evil"),
      'another user than "alice_evil"',
    ],
    ["a user behind a newline", { users: "/alice/" }, session("alice\n"), 'another user than "alice\\n"'],
    ["a user after a newline", { users: "/alice/" }, session("x\nalice"), 'another user than "x\\nalice"'],
    ["a name of Unicode that looks the same", { users: "alice" }, session("\u0430lice"), "another user"],
    ["a name decomposed", { users: "j\u00fcrg" }, session("ju\u0308rg"), "another user"],
    ["a text that would match as a regex", { users: "a.*" }, session("alice"), "another user"],
    [
      "another database",
      { databases: "orders" },
      session("alice", { database: "users" }),
      'another database than "users"',
    ],
    [
      "physical replication",
      { databases: "orders" },
      session("alice", { replication: "1" }),
      "another database than none",
    ],
    [
      "physical replication in other words",
      { databases: "/.*/" },
      session("alice", { replication: "yEs" }),
      "than none",
    ],
    [
      "another address",
      { client_address: "203.0.113.8" },
      session("a"),
      'another client_address than "203.0.113.9"',
    ],
    ["another network", { client_address: "203.0.112.0/24" }, session("a"), "another client_address"],
    [
      "a client without an IP address",
      { client_address: "0.0.0.0/0" },
      session("a", { client: ["unknown", 0] }),
      '"unknown"',
    ],
    ["IPv4 by a rule for IPv6", { client_address: "::/0" }, session("a"), "another client_address"],
    ["no certificate", { client_cert_cn: "/.*/" }, session("alice"), "another client_cert_cn than none"],
    [
      "no TLS",
      { client_cert_cn: "/.*/" },
      session("alice", { tls: null }),
      "another client_cert_cn than none",
    ],
    [
      "an unverified certificate",
      { client_cert_cn: "alice" },
      session("alice", { tls: refused }),
      "than none",
    ],
    [
      "an unverified certificate's subject",
      { client_cert_name: "CN=alice" },
      session("a", { tls: refused }),
      "than none",
    ],
    [
      "an unverified certificate's other names",
      { client_cert_san: "/.*/" },
      session("a", { tls: refused }),
      "than none",
    ],
    [
      "another certificate",
      { client_cert_cn: "bob" },
      session("bob", ALICE),
      'another client_cert_cn than "alice"',
    ],
    [
      "the issuer's name",
      { client_cert_cn: "CA" },
      session("bob", ALICE),
      'another client_cert_cn than "alice"',
    ],
    [
      "a certificate without alternative names",
      { client_cert_san: "/.*/" },
      session("a", ALICE),
      "client_cert_san than none",
    ],
    [
      "a common name as an alternative name",
      { client_cert_san: "alice" },
      session("a", ALICE),
      "client_cert_san than none",
    ],
    [
      "another user than the captured one",
      { client_cert_cn: "/(.*)/", users: "\\1" },
      session("bob", ALICE),
      '"bob"',
    ],
    [
      "a rule of which one key does not match",
      { users: "alice", databases: "x" },
      session("alice"),
      'database than "orders"',
    ],
  ];

for (const [what, rule, scope, detail] of DENIED) {
  Deno.test(`allowRules() refuses ${what}`, async () => {
    const { decision } = await outcomeOf(allowRules(rulesOf(rule)), { scope });
    assert.ok(typeof decision !== "string" && decision.kind === "rejected");
    assert.ok(decision.detail?.startsWith("No rule matches: allow[0] wants another "));
    assert.ok(decision.detail?.includes(detail), decision.detail ?? "");
    assert.equal(decision.message.includes("alice"), false, "the client learns nothing");
  });
}

Deno.test("allowRules() takes what a certificate says for a name, never for a regex", async () => {
  for (const name of [".*", "a|root", "(", "root|", "[^", "\\w+", "$", "^", "a{1,}"]) {
    const scope = (user: string) => session(user, certificate(name));
    for (const users of ["\\1", "/\\1/"]) {
      const app = allowRules(rulesOf({ client_cert_cn: "/(.*)/", users }));
      assert.equal(
        kindOf((await outcomeOf(app, { scope: scope(name) })).decision),
        "accepted",
        `${name} as ${users}`,
      );
      for (const user of ["root", "a", "anybody", ""]) {
        assert.equal(
          kindOf((await outcomeOf(app, { scope: scope(user) })).decision),
          "rejected",
          `${name} as ${user}`,
        );
      }
    }
  }
});

Deno.test("allowRules() repeats a captured name as a whole", async () => {
  const app = allowRules(rulesOf({ client_cert_cn: "/(.*)/", users: "/\\1+/" }));
  const scope = (user: string) => session(user, certificate("ab"));
  assert.equal(kindOf((await outcomeOf(app, { scope: scope("abab") })).decision), "accepted");
  assert.equal(kindOf((await outcomeOf(app, { scope: scope("abb") })).decision), "rejected");
});

Deno.test("allowRules() lets a group that matched nothing stand for nobody", async () => {
  const app = allowRules(rulesOf({ client_cert_cn: "/x?([0-9]*)alice(bob)?/", users: "/\\1.*/" }));
  assert.equal(kindOf((await outcomeOf(app, { scope: session("root", ALICE) })).decision), "rejected");
});

Deno.test("allowRules() takes no common name from a certificate that has two", async () => {
  const root = makeRoot("client CA");
  const subject = [["CN", "alice"], ["CN", "root"]] as const;
  const { der } = issue({ issuer: root, subject, extensions: [extendedKeyUsage(CLIENT_AUTH)] });
  const scope = session("alice", { tls: { ...TLS, clientChain: [der] } });
  for (const name of ["alice", "root", "/.*/"]) {
    assert.equal(
      kindOf((await outcomeOf(allowRules(rulesOf({ client_cert_cn: name })), { scope })).decision),
      "rejected",
    );
  }
});

Deno.test("allowRules() needs one rule that matches, and names every one that does not", async () => {
  const rules = rulesOf({ users: "bob" }, { databases: "x" }, { users: "alice" });
  assert.equal(
    kindOf((await outcomeOf(allowRules(rules), { scope: session("alice") })).decision),
    "accepted",
  );
  const { decision } = await outcomeOf(allowRules(rules), { scope: session("eve") });
  assert.equal(
    typeof decision !== "string" && decision.kind === "rejected" && decision.detail,
    'No rule matches: allow[0] wants another user than "eve"; allow[1] wants another database than "orders"; ' +
      'allow[2] wants another user than "eve"',
  );
});

Deno.test("allowRules() without a rule refuses everybody", async () => {
  assert.equal(kindOf((await outcomeOf(allowRules([]), { scope: session("alice") })).decision), "rejected");
});

Deno.test("allowRules() refuses a certificate it cannot read instead of passing over it", async () => {
  const scope = session("alice", { tls: { ...TLS, clientChain: [new Uint8Array([0x30, 0])] } });
  const { decision } = await outcomeOf(allowRules(rulesOf({ client_cert_cn: "/.*/" })), { scope });
  assert.match(String(decision), /^app_failed: App threw PeerRejectedError/);
});

Deno.test("allowRules() matches no regex against a name of more than 256 characters", async () => {
  const long = "a".repeat(257);
  const scope = session("alice", { tls: { ...TLS, clientChain: [longName(long)] } });
  assert.equal(
    kindOf((await outcomeOf(allowRules(rulesOf({ client_cert_cn: "/a+/" })), { scope })).decision),
    "rejected",
  );
  assert.equal(
    kindOf((await outcomeOf(allowRules(rulesOf({ client_cert_cn: long })), { scope })).decision),
    "accepted",
  );
});

function rulesOf(...rules: readonly Rule[]): readonly AllowRule[] {
  const listener = {
    bind_address: "0.0.0.0:1",
    server_cert: "s",
    server_key: "s",
    mtls: "optional",
    client_ca: "c",
  };
  const route = { listener, backend: { address: "b:1", tls_enabled: false }, allow: rules };
  return parseConfig({ proxy: [route] }, { file: "/etc/pgtls/pgtls.toml" }).routes[0]!.allow;
}

function longName(name: string): Uint8Array {
  return issue({ issuer: makeRoot("CA"), subject: name, extensions: [extendedKeyUsage(CLIENT_AUTH)] }).der;
}

function kindOf(decision: unknown): string {
  return typeof decision === "string" ? decision : (decision as { kind: string }).kind;
}
