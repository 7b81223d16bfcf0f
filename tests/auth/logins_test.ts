import assert from "node:assert/strict";
import { join } from "node:path";
import { stringify } from "smol-toml";
import { Attempts } from "../../src/auth/attempts.ts";
import { Limits } from "../../src/limits/limits.ts";
import { openLogins } from "../../src/auth/logins.ts";
import { verifierOf } from "../../src/auth/verifiers.ts";
import { ConfigError } from "../../src/errors.ts";
import { load } from "../../src/load.ts";
import { makeCa, writeFiles } from "../support/pki.ts";
import { formatVerifier, makeVerifier } from "../support/scram.ts";

const leaf = makeCa({ name: "CA" }).issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
const GOOD = `"alice" "${formatVerifier(await makeVerifier("secret"))}"\n`;

Deno.test("load() returns the users of each route, and null for a route that needs none", async () => {
  await using folder = await configFolder({ "users.txt": GOOD }, [SCRAM, {}, SCRAM]);
  const { routes, warnings } = await load(folder.config);
  const users = routes.map(({ users }) => users);
  assert.deepEqual(users.map((list) => list && [...list.verifiers.keys()]), [["alice"], null, ["alice"]]);
  assert.equal(users[0], users[2], "the file was read twice");
  assert.deepEqual(warnings.map(({ path }) => path), ["proxy[0].auth.auth_file", "proxy[2].auth.auth_file"]);
  for (const mode of [0o600, 0o640, 0o400]) {
    await Deno.chmod(`${folder.dir}/users.txt`, mode);
    assert.deepEqual((await load(folder.config)).warnings, [], mode.toString(8));
  }
});

Deno.test("load() reports every wrong line with its number, next to whatever else is wrong", async () => {
  const text = `${GOOD}"bob" "hunter2"\n"carol" "md5${"0".repeat(32)}"\n`;
  for (const more of [{}, { mode: "scarm" }]) {
    await using folder = await configFolder({ "users.txt": text }, [SCRAM, { ...SCRAM, ...more }]);
    const problems = await problemsOf(load(folder.config));
    const found = problems.filter(({ path }) => path === "proxy[0].auth.auth_file").map(({ message }) =>
      message
    );
    assert.equal(found.length, 2);
    assert.match(found[0]!, /users\.txt": line 2: user "bob" has a plaintext password/);
    assert.match(found[1]!, /users\.txt": line 3: user "carol" has an md5 password/);
    assert.ok(!JSON.stringify(problems).includes("hunter2"));
  }
});

Deno.test("load() reports an auth_file that is not there", async () => {
  await using folder = await configFolder({}, [SCRAM]);
  const [problem] = await problemsOf(load(folder.config));
  assert.match(problem!.message, /^Cannot read file ".*users\.txt": it does not exist$/);
});

Deno.test("verifierOf() makes up the same verifier for the same name, with another key another, and none that fits", async () => {
  await using folder = await configFolder({ "users.txt": GOOD }, [SCRAM]);
  const users = (await load(folder.config)).routes[0]!.users!;
  const [ours, again, other] = ["key one", "key one", "key two"].map((key) =>
    openLogins(users, { keyPem: key, attempts }).mock!
  );
  const alice = verifierOf("alice", users, ours!);
  assert.ok(alice.exists && alice.verifier === users.verifiers.get("alice"));
  const mock = verifierOf("nobody", users, ours!);
  assert.equal(mock.exists, false);
  assert.deepEqual(mock, verifierOf("nobody", users, again!));
  assert.deepEqual([mock.verifier.salt.length, mock.verifier.iterations], [16, 4096]);
  for (const different of [verifierOf("nobody", users, other!), verifierOf("nobody2", users, ours!)]) {
    assert.notDeepEqual(different.verifier.salt, mock.verifier.salt);
  }
  assert.notDeepEqual(other!.key, ours!.key);
  const unkeyed = openLogins(users, { keyPem: null, attempts }).mock!;
  assert.deepEqual(
    verifierOf("nobody", users, unkeyed),
    verifierOf("nobody", users, openLogins(users, { keyPem: null, attempts }).mock!),
  );
});

const attempts = new Attempts(new Limits(), "orders");
const SCRAM = { mode: "scram", auth_file: "users.txt" };

async function configFolder(files: Record<string, string>, auths: readonly Record<string, unknown>[]) {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-logins-" });
  await writeFiles(dir, { "server.pem": leaf.chainPem, "server.key": leaf.keyPem, ...files });
  const proxy = auths.map((auth) => ({
    listener: { bind_address: "127.0.0.1:0", server_cert: "server.pem", server_key: "server.key" },
    backend: { address: "127.0.0.1:1", tls_enabled: false },
    ...(Object.keys(auth).length > 0 && { auth }),
  }));
  const config = join(dir, "pgtls.toml");
  await Deno.writeTextFile(config, stringify({ proxy }));
  return { dir, config, [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }) };
}

async function problemsOf(loading: Promise<unknown>): Promise<ConfigError["problems"]> {
  try {
    await loading;
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return assert.fail("expected a ConfigError");
}
