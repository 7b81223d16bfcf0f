import assert from "node:assert/strict";
import {
  accept,
  allowNames,
  type App,
  audit,
  compose,
  type Middleware,
  nameApplication,
  type PostgresqlScope,
  verifiedName,
} from "../../src/scope/mod.ts";
import type { ConnectionFacts } from "../../src/scope/build.ts";
import { makeCa } from "../support/pki.ts";
import { ACCEPTED, END, outcomeOf, scopeOf, start, TLS, turn } from "./scope_support.ts";

const ca = makeCa({ name: "CA" });

function withCertificate(name: string, error: string | null = null): PostgresqlScope {
  return scopeOf({
    tls: { ...TLS, clientChain: [ca.issue({ name, purpose: "client" }).der], clientCertError: error },
  });
}

const alice = withCertificate("alice");
const refused = withCertificate("alice", "Cannot accept it");

Deno.test("compose() asks the first middleware first, and the app last", async () => {
  const order: string[] = [];
  const part = (name: string): Middleware => (next) => async (scope, receive, send) => {
    order.push(name);
    await next(scope, receive, send);
  };
  const { decision } = await outcomeOf(compose([part("first"), part("second")]));
  assert.deepEqual([decision, order], [ACCEPTED, ["first", "second"]]);
  const { decision: own } = await outcomeOf(compose([part("third")], () => {}));
  assert.deepEqual([own, order], ["app_failed: App returned without a decision", [
    "first",
    "second",
    "third",
  ]]);
});

Deno.test("compose() without middlewares is the app", () => {
  assert.equal(compose([]), accept);
});

Deno.test("shipped apps leave scopes they do not know to the next app, which throws", async () => {
  for (const app of [accept, compose([allowNames([]), nameApplication(), audit(() => {})])]) {
    const called = app({ type: "lifespan" } as never, () => Promise.reject(), () => Promise.reject());
    await assert.rejects(Promise.resolve(called), { message: 'Cannot serve a scope of type "lifespan"' });
  }
});

Deno.test("verifiedName() is the certificate's subject if it was verified, and null in every other case", () => {
  assert.equal(verifiedName(alice), "CN=alice");
  for (const scope of [refused, scopeOf(), scopeOf({ tls: null })]) assert.equal(verifiedName(scope), null);
});

Deno.test("allowNames() lets in those on the list, exactly as written", async () => {
  const decide = async (scope: PostgresqlScope, names = ["CN=alice"]) =>
    (await outcomeOf(compose([allowNames(names)]), { scope })).decision as { kind: string; detail: string };
  assert.equal((await decide(alice)).kind, "accepted");
  for (const names of [["CN=Alice"], ["alice"], ["CN=alice "], ["CN=.*"], []]) {
    const { kind, detail } = await decide(alice, names);
    assert.deepEqual([kind, detail], ["rejected", 'Certificate "CN=alice" is not one of those allowed']);
  }
  for (const scope of [refused, scopeOf(), scopeOf({ tls: null })]) {
    const { kind, detail } = await decide(scope);
    assert.deepEqual([kind, detail], ["rejected", "No verified certificate"]);
  }
});

const NAMES: readonly (readonly [what: string, scope: PostgresqlScope, expected: string])[] = [
  ["puts the verified name in front", alice, "[CN=alice] psql"],
  ["puts nothing in front of a client without certificate", scopeOf(), "psql"],
  ["puts nothing in front of a client whose certificate was refused", refused, "psql"],
  ["takes an imitation apart", calling("[CN=admin] psql"), "(CN=admin) psql"],
  ["takes an imitation behind the name apart", calling("x] [CN=admin", alice), "[CN=alice] x) (CN=admin"],
  ["takes a name that looks like two apart", withCertificate("a] [CN=admin"), "[CN=a) (CN=admin] psql"],
  ["makes ASCII of everything", calling("prüf\n\u202e\u{1f600}", alice), "[CN=alice] pr?f???"],
  ["says that a long name was cut", withCertificate("x".repeat(60)), `[CN=${"x".repeat(55)}...]`],
  ["cuts after 63 bytes", calling("y".repeat(63), alice), `[CN=alice] ${"y".repeat(52)}`],
  ["is set also where the client set nothing", calling(undefined), ""],
];

function calling(application_name: string | undefined, scope?: PostgresqlScope): PostgresqlScope {
  const parameters = new Map([["user", "alice"]]);
  if (application_name !== undefined) parameters.set("application_name", application_name);
  const facts: Partial<ConnectionFacts> = { parameters };
  return scope ? { ...scopeOf(facts), extensions: scope.extensions } : scopeOf(facts);
}

for (const [what, scope, expected] of NAMES) {
  Deno.test(`nameApplication() ${what}`, async () => {
    const { decision } = await outcomeOf(compose([nameApplication()]), { scope });
    assert.deepEqual(decision, { ...ACCEPTED, parameters: new Map([["application_name", expected]]) });
    assert.ok(new TextEncoder().encode(expected).length <= 63);
  });
}

Deno.test("nameApplication() keeps what the app behind it has decided", async () => {
  const app: App = (_, __, send) =>
    send({
      type: "postgresql.accept",
      user: "bob",
      parameters: { application_name: "etl", DateStyle: "ISO" },
    });
  const { decision } = await outcomeOf(compose([nameApplication()], app), { scope: alice });
  const parameters = new Map([["application_name", "[CN=alice] etl"], ["DateStyle", "ISO"]]);
  assert.deepEqual(decision, { ...ACCEPTED, user: "bob", parameters });
  const reject: App = (_, __, send) => send({ type: "postgresql.reject", message: "no" });
  const { decision: no } = await outcomeOf(compose([nameApplication()], reject), { scope: alice });
  assert.equal((no as { message: string }).message, "no");
});

/** Apps behind audit(), and what its line says of them. */
const AUDITED: readonly (readonly [what: string, app: App, line: Readonly<Record<string, unknown>>])[] = [
  ["accepts and returns", accept, { decision: "accept" }],
  ["accepts and waits for the end", async (_, receive, send) => {
    await receive();
    await send({ type: "postgresql.accept", user: "bob" });
    await receive();
  }, { decision: "accept", changes: { user: "bob" } }],
  ["accepts and leaves a receive waiting", async (_, receive, send) => {
    await receive();
    await send({ type: "postgresql.accept" });
    receive();
  }, { decision: "accept" }],
  ["refuses", (_, __, send) => send({ type: "postgresql.reject", detail: "no" }), {
    decision: "reject",
    changes: { detail: "no" },
  }],
  ["throws", () => Promise.reject(new Error("x")), { decision: "none", failure: "Error: x" }],
  ["returns without deciding", () => {}, { decision: "none" }],
  ["throws after deciding", async (_, __, send) => {
    await send({ type: "postgresql.accept" });
    throw new Error("late");
  }, { decision: "accept", failure: "Error: late" }],
];

for (const [what, app, expected] of AUDITED) {
  Deno.test(`audit() writes one line when an app ${what}`, async () => {
    const lines: string[] = [];
    const audited = await outcomeOf(compose([audit((line) => lines.push(line))], app), { scope: alice });
    const bare = await outcomeOf(app, { scope: alice });
    assert.deepEqual(audited, bare, "the session goes as it would without it");
    assert.equal(lines.length, 1);
    const { time, ...line } = JSON.parse(lines[0]!);
    assert.match(time, /^\d{4}-.*Z$/);
    const { type: _type, backend_tls: _backendTls, ...totals } = END;
    assert.deepEqual(line, {
      connection: alice.connection,
      route: "orders",
      client: "203.0.113.9 51514",
      user: "alice",
      database: "orders",
      client_cert_name: "CN=alice",
      client_cert_error: null,
      ...expected,
      ...totals,
    });
  });
}

Deno.test("audit() writes its line at the end of the session, not before", async () => {
  const lines: string[] = [];
  const { run } = start(compose([audit((line) => lines.push(line))]));
  await turn();
  assert.deepEqual(lines, []);
  run.disconnect(END);
  await turn();
  assert.equal(lines.length, 1);
});

Deno.test("audit() keeps what clients write on one line", async () => {
  const lines: string[] = [];
  const scope = scopeOf({ parameters: new Map([["user", 'a\n{"decision":"accept"}\u202e']]) });
  await outcomeOf(compose([audit((line) => lines.push(line))]), { scope });
  assert.match(lines[0]!, /^[\x20-\x7e]+$/);
  assert.equal(JSON.parse(lines[0]!).user, scope.user);
});

Deno.test("audit() that cannot write is a failure of the app", async () => {
  const fail = () => {
    throw new Error("disk full");
  };
  const { decision, reports } = await outcomeOf(compose([audit(fail)]));
  assert.deepEqual([decision, reports], [ACCEPTED, ["App threw Error: disk full"]]);
});
