/** Every example of docs/scope.md, written to a file as it stands, type-checked and run. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Decision } from "../../src/scope/decision.ts";
import { Lifespan } from "../../src/scope/lifespan.ts";
import { loadApp } from "../../src/scope/load_app.ts";
import type { App, PostgresqlScope } from "../../src/scope/types.ts";
import { makeCa } from "../support/pki.ts";
import { ACCEPTED, outcomeOf, scopeOf, TLS } from "../scope/scope_support.ts";

const ca = makeCa({ name: "CA" });
const DOOR = new URL("../../src/scope/mod.ts", import.meta.url).href;

function sessionOf(
  user: string,
  certificate?: string,
  options?: string,
  clientCertError: string | null = null,
): PostgresqlScope {
  const clientChain = certificate === undefined
    ? []
    : [ca.issue({ name: certificate, purpose: "client" }).der];
  const parameters = new Map([
    ["user", user],
    ...(options === undefined ? [] : [["options", options] as const]),
  ]);
  return scopeOf({ parameters, tls: { ...TLS, clientChain, clientCertError } });
}

/** What each example does with some sessions. */
const EXAMPLES: Readonly<Record<string, (app: App) => Promise<void>>> = {
  "policy.ts": async (app) => {
    assert.deepEqual(await decided(app, sessionOf("a", "alice")), ACCEPTED);
    assert.deepEqual(detailOf(await decided(app, sessionOf("a", "bob"))), "not alice");
    assert.deepEqual(detailOf(await decided(app, sessionOf("a", "alice", "", "refused"))), "not alice");
    assert.deepEqual(detailOf(await decided(app, scopeOf({ tls: null }))), "not alice");
  },
  "lifespan.ts": async (app) => {
    const lifespan = await Lifespan.start(app, 20_000);
    assert.deepEqual(await decided(app, sessionOf("carol")), ACCEPTED);
    assert.equal(((await decided(app, sessionOf("dave"))) as { kind: string }).kind, "rejected");
    await lifespan.stop(20_000);
  },
  "composed.ts": async (app) => {
    assert.equal(detailOf(await decided(app, sessionOf("a"))), "No verified certificate");
  },
  "parts.ts": async (app) => {
    const parameters = new Map([["options", null]]);
    assert.deepEqual(await decided(app, sessionOf("root", "alice")), {
      ...ACCEPTED,
      user: "alice",
      parameters,
    });
    const replica = await decided(app, sessionOf("alice", "alice", "-c target=replica"));
    assert.deepEqual(replica, { ...ACCEPTED, user: "alice", backend: "replica", parameters });
    assert.equal(
      ((await decided(app, sessionOf("a"))) as { message: string }).message,
      "bring a certificate",
    );
  },
};

Deno.test("every app of docs/scope.md does what the page says", async (t) => {
  await withExamples(async (dir, names) => {
    assert.deepEqual(names.toSorted(), Object.keys(EXAMPLES).toSorted());
    for (const [name, check] of Object.entries(EXAMPLES)) {
      await t.step(name, async () => await check((await loadApp(join(dir, name))).app));
    }
  });
});

Deno.test("the app of README.md does what it says", async () => {
  const readme = await Deno.readTextFile(new URL("../../README.md", import.meta.url));
  const [, source] = /^```ts\n([^]*?)^```$/m.exec(readme)!;
  const dir = await Deno.makeTempDir({ prefix: "pgtls-examples-" });
  const { getUTCHours } = Date.prototype;
  try {
    await Deno.writeTextFile(join(dir, "policy.ts"), source!);
    const { app } = await loadApp(join(dir, "policy.ts"));
    Date.prototype.getUTCHours = () => 6;
    assert.deepEqual(await decided(app, sessionOf("a")), ACCEPTED);
    Date.prototype.getUTCHours = () => 5;
    assert.equal(((await decided(app, sessionOf("a"))) as { message: string }).message, "closed until six");
  } finally {
    Date.prototype.getUTCHours = getUTCHours;
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("the types of the contract fit the apps of docs/scope.md that use them", async () => {
  await withExamples(async (dir) => {
    await Deno.writeTextFile(join(dir, "deno.json"), JSON.stringify({ compilerOptions: { strict: true } }));
    const args = ["check", "--quiet", join(dir, "composed.ts"), join(dir, "parts.ts")];
    const { code, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
  });
});

Deno.test("an app in TypeScript can import every type it meets from the one door", async () => {
  await withExamples(async (dir) => {
    const file = join(dir, "typed.ts");
    await Deno.writeTextFile(file, TYPED);
    await Deno.writeTextFile(join(dir, "deno.json"), JSON.stringify({ compilerOptions: { strict: true } }));
    const { code, stderr } = await new Deno.Command(Deno.execPath(), { args: ["check", "--quiet", file] })
      .output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
  });
});

const TYPED = `
import type {
  App, Extensions, HttpScope, LifespanScope, PostgresqlDisconnect, PostgresqlReceive, PostgresqlScope, PostgresqlSend,
  Receive, Scope, Send, TlsRecord, WebsocketScope,
} from "./apps.js";
export type All = [
  Extensions, HttpScope, LifespanScope, PostgresqlDisconnect, PostgresqlReceive, PostgresqlScope, PostgresqlSend, WebsocketScope,
];
const app: App = async (scope: Scope, receive: Receive, send: Send): Promise<void> => {
  if (scope.type !== "postgresql") throw new TypeError("no such scope");
  await receive();
  const tls: TlsRecord | undefined = scope.extensions.tls;
  const version: number | null = tls?.tls_version ?? null;
  await send(version === 0x0304 ? { type: "postgresql.accept" } : { type: "postgresql.reject" });
  const end = await receive();
  if (end.type === "postgresql.disconnect" && end.backend_tls !== null) console.log(end.backend_tls.cipher_suite);
};
export default app;
`;

async function withExamples(use: (dir: string, names: readonly string[]) => Promise<void>): Promise<void> {
  const text = await Deno.readTextFile(new URL("../../docs/scope.md", import.meta.url));
  const dir = await Deno.makeTempDir({ prefix: "pgtls-examples-" });
  try {
    const examples = [...text.matchAll(/^```ts\n\/\/ (\w+\.ts)\n([^]*?)^```$/gm)];
    const all = [...text.matchAll(/^```ts$/gm)];
    assert.equal(examples.length, all.length, "each example says what its file is called");
    for (const [, name, source] of examples) await Deno.writeTextFile(join(dir, name!), source!);
    await Deno.writeTextFile(
      join(dir, "apps.js"),
      `// @ts-self-types="./apps.d.ts"\nexport * from "${DOOR}";\n`,
    );
    await Deno.writeTextFile(join(dir, "apps.d.ts"), `export * from "${DOOR}";\n`);
    await Deno.writeTextFile(join(dir, "allowed.txt"), "carol\n");
    await use(dir, examples.map(([, name]) => name!));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function decided(app: App, scope: PostgresqlScope): Promise<Decision> {
  const { decision, reports } = await outcomeOf(app, { scope });
  assert.ok(typeof decision !== "string", String(decision));
  assert.deepEqual(reports, []);
  return decision;
}

function detailOf(decision: Decision): string | null {
  return decision.kind === "rejected" ? decision.detail : null;
}
