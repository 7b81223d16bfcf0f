import assert from "node:assert/strict";
import { VERSION } from "../../src/version.ts";
import { pgtls } from "../support/pgtls.ts";

Deno.test("pgtls -v prints the version of deno.json", async () => {
  const manifest = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  assert.equal(VERSION, manifest.version);
  for (const flag of ["-v", "--version"]) {
    assert.deepEqual(await pgtls(flag), { code: 0, stdout: `pgtls ${VERSION}\n`, stderr: "" });
  }
});

Deno.test("pgtls -h lists every command on standard output", async () => {
  const { code, stdout } = await pgtls("-h");
  assert.equal(code, 0);
  for (const command of ["run", "check", "inspect", "health", "certs", "demo"]) {
    assert.match(stdout, new RegExp(`^  ${command} `, "m"));
  }
});

Deno.test("pgtls takes a command behind --, as npm would have it", async () => {
  assert.deepEqual(await pgtls("--", "--version"), { code: 0, stdout: `pgtls ${VERSION}\n`, stderr: "" });
  const { code, stderr } = await pgtls("--", "-c", "missing.toml");
  assert.equal(code, 2);
  assert.match(stderr, /Cannot read file "missing.toml": it does not exist/);
});

Deno.test("pgtls with wrong usage says what was expected and ends with 2", async () => {
  const cases: [args: string[], says: RegExp][] = [
    [[], /required option '-c, --config <file>'[^]*pgtls run --help/],
    [
      ["frob"],
      /Cannot run command "frob": expected one of run, check, inspect, health, certs, demo, help\n$/,
    ],
    [["run"], /required option '-c, --config <file>'/],
    [["check", "-c", "x.toml", "--bogus"], /unknown option '--bogus'[^]*pgtls check --help/],
    [["inspect"], /missing required argument 'host:port'/],
    [["inspect", "nowhere"], /Cannot inspect "nowhere": expected host:port, \[::1\]:port or a socket path/],
    [["demo", "--port", "many"], /Cannot use port "many": expected a number from 0 to 65535/],
  ];
  for (const [args, says] of cases) {
    const { code, stdout, stderr } = await pgtls(...args);
    assert.equal(code, 2, args.join(" "));
    assert.equal(stdout, "", args.join(" "));
    assert.match(stderr, says);
  }
});
