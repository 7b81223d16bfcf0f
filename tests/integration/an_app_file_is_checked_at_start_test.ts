/** `pgtls run` and `check` with a connection app: TypeScript, JavaScript, what is wrong with one, and its life. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { makeCa, writeFiles } from "../support/pki.ts";
import { pgtls, startPgtls } from "../support/pgtls.ts";
import { startCountingBackend } from "../support/counting_backend.ts";
import { psql } from "../support/psql.ts";

const ca = makeCa({ name: "CA" });
const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });

const REFUSE_TS = `
  interface Scope { readonly type: string; readonly user: string }
  const words = (user: string): string => \`\${user} is told no, in TypeScript\`;
  export default async function app(scope: Scope, receive: () => Promise<unknown>, send: (event: object) => Promise<void>) {
    if (scope.type !== "postgresql") throw new TypeError("no such scope");
    await receive();
    await send({ type: "postgresql.reject", message: words(scope.user) });
  }
`;

const REFUSE_JS = `
  export default async (scope, receive, send) => {
    await receive();
    await send({ type: "postgresql.reject", message: scope.user + " is told no, in JavaScript" });
  };
`;

Deno.test("pgtls run loads apps in TypeScript and JavaScript, from beside the configuration", async () => {
  await using counting = await startCountingBackend();
  await using files = await configFolder(
    { "policy.ts": REFUSE_TS, "policy.js": REFUSE_JS },
    counting.backend.address,
  );
  await using proxy = startPgtls("run", "-c", files.config);
  const [, first] = await proxy.waitFor(
    /"listener\.bound".*"route":"policy\.ts".*"address":"127\.0\.0\.1:(\d+)"/,
  );
  const [, second] = await proxy.waitFor(
    /"listener\.bound".*"route":"policy\.js".*"address":"127\.0\.0\.1:(\d+)"/,
  );
  for (const [port, language] of [[first, "TypeScript"], [second, "JavaScript"]]) {
    const { code, stderr } = await psql(`host=127.0.0.1 port=${port} user=alice dbname=demo sslmode=require`);
    assert.equal(code, 2);
    assert.match(stderr, new RegExp(`FATAL: {2}alice is told no, in ${language}\n`));
  }
  assert.equal(counting.accepts(), 0);
  const { code, stderr } = await proxy.stop();
  assert.equal(code, 0, stderr);
});

const MISTAKES = {
  "gone.ts": [null, /Cannot read file ".*\/gone\.ts": it does not exist/],
  "broken.ts": [
    "export default (",
    /Cannot load app ".*\/broken\.ts": it does not parse: .* at broken\.ts:1:/,
  ],
  "nothing.js": [
    "export const app = 1;",
    /Cannot use app ".*\/nothing\.js": it has no default export, expected/,
  ],
  "throws.ts": ["throw new Error('licence ran out');", /it throws on import: Error: licence ran out/],
} as const;

Deno.test("pgtls run and check name every app that cannot be used, with route and file, and end with 2", async () => {
  const sources = Object.fromEntries(Object.entries(MISTAKES).map(([name, [source]]) => [name, source]));
  await using files = await configFolder(sources);
  for (const command of ["run", "check"]) {
    const { code, stdout, stderr } = await pgtls(command, "-c", files.config);
    assert.deepEqual([code, stdout], [2, ""]);
    assert.match(stderr, /^Cannot use config ".*": 4 problems\n/);
    for (const [i, [name, [, message]]] of Object.entries(MISTAKES).entries()) {
      const line = stderr.split("\n").find((each) =>
        each.startsWith(`  proxy[${i}].app (route "${name}"): `)
      );
      assert.match(line ?? stderr, message);
    }
  }
});

Deno.test("pgtls check names the apps that cannot be used beside the mistakes of the configuration itself", async () => {
  await using files = await configFolder({ "gone.ts": null, "throws.ts": MISTAKES["throws.ts"][0] });
  await Deno.writeTextFile(files.config, `log_leve = "info"\n${await Deno.readTextFile(files.config)}`);
  const { code, stderr } = await pgtls("check", "-c", files.config);
  assert.equal(code, 2);
  assert.match(stderr, /^Cannot use config ".*": 3 problems\n {2}log_leve: /);
  assert.match(stderr, /\n {2}proxy\[0\]\.app \(route "gone\.ts"\): Cannot read file/);
  assert.match(stderr, /\n {2}proxy\[1\]\.app \(route "throws\.ts"\): Cannot load app/);
});

Deno.test("an app that says it cannot start keeps pgtls from listening", async () => {
  const app = `export default async (scope, receive, send) => {
    if (scope.type === "lifespan") await send({ type: "lifespan.startup.failed", message: "no policy server" });
  };`;
  await using files = await configFolder({ "a.ts": app });
  const { code, stderr } = await pgtls("run", "-c", files.config);
  assert.equal(code, 2);
  assert.match(
    stderr,
    /proxy\[0\]\.app \(route "a\.ts"\): Cannot start app: it reports that it cannot start: no policy server/,
  );
  assert.doesNotMatch(stderr, /listener\.bound/);
});

Deno.test("an app hears of the end before pgtls has stopped, and what goes wrong there is logged", async () => {
  const app = `export default async (scope, receive, send) => {
    if (scope.type !== "lifespan") throw new TypeError("no such scope");
    await receive();
    await send({ type: "lifespan.startup.complete" });
    console.log((await receive()).type);
    throw new Error("could not save");
  };`;
  await using files = await configFolder({ "a.ts": app });
  await using proxy = startPgtls("run", "-c", files.config);
  await proxy.waitFor(/server\.started/);
  const { code, stdout, stderr } = await proxy.stop();
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "lifespan.shutdown\n");
  const events = stderr.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(events.slice(-2).map(({ event }) => event), ["lifespan.failed", "server.stopped"]);
  assert.equal(events.at(-2).detail, "App has not stopped in order: it threw Error: could not save");
});

async function configFolder(
  apps: Readonly<Record<string, string | null>>,
  backend = "127.0.0.1:1",
): Promise<AsyncDisposable & { readonly config: string }> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-apps-" });
  await writeFiles(dir, { "s.pem": leaf.chainPem, "s.key": leaf.keyPem });
  for (const [name, source] of Object.entries(apps)) {
    if (source !== null) await Deno.writeTextFile(join(dir, name), source);
  }
  const text = Object.keys(apps).map((name) => `
[[proxy]]
name = "${name}"
app = "./${name}"
[proxy.listener]
bind_address = "127.0.0.1:0"
server_cert = "s.pem"
server_key = "s.key"
[proxy.backend]
address = "${backend}"
tls_enabled = false
`);
  const config = join(dir, "pgtls.toml");
  // An app lives once in each worker.
  await Deno.writeTextFile(config, `workers = 1\n${text.join("")}`);
  return { config, [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }) };
}
