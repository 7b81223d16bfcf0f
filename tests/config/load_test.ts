import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { join, relative } from "node:path";
import process from "node:process";
import { loadConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/errors.ts";
import { toml } from "./config_support.ts";

Deno.test("loadConfig makes file names absolute against the folder of the file, also when its path is relative", () => {
  inFolder((folder) => {
    const path = join(folder, "pgtls.toml");
    Deno.writeTextFileSync(path, `\ufeff${toml()}`);
    for (const given of [path, relative(Deno.cwd(), path)]) {
      const config = loadConfig(given);
      assert.equal(config.file, path);
      assert.equal(config.routes[0]?.listener.serverCert, join(folder, "server.pem"));
    }
  });
});

Deno.test("loadConfig says line, column and text when the file is not TOML", () => {
  assert.equal(
    messageFor('log_level = "info"\nworkers = = 2\n'),
    "Cannot parse TOML at line 2, column 11: invalid value\n    workers = = 2",
  );
});

Deno.test("loadConfig shows no line where there is nothing on it", () => {
  assert.match(messageFor("server_names = [\n"), /^Cannot parse TOML at line 2, column 1: [^\n]*[^\s]$/);
});

Deno.test("loadConfig shows no line of a broken file when a private key was pasted into it", () => {
  const message = messageFor(
    'server_key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI\n-----END PRIVATE KEY-----"',
  );
  assert.match(message, /^Cannot parse TOML at line 1, column \d+: [^\n]+$/);
});

Deno.test("loadConfig gives a ConfigError and no stack overflow when tables nest deeply", () => {
  assert.match(messageFor(`a = ${"[".repeat(100_000)}`), /^Cannot parse TOML at line 1/);
});

Deno.test("loadConfig refuses a file that is not UTF-8", () => {
  assert.equal(
    messageFor(new Uint8Array([0x61, 0xff, 0xfe])),
    "Cannot read the text of this file: it is not UTF-8, expected a TOML file",
  );
});

Deno.test("loadConfig refuses a file of more than 1 MiB", () => {
  assert.match(messageFor("#".repeat(1024 * 1024 + 1)), /: it is too large, expected at most 1048576 bytes$/);
});

Deno.test("loadConfig refuses a path that is missing, a folder, a device, or below a file", () => {
  inFolder((folder) => {
    const file = join(folder, "file");
    Deno.writeTextFileSync(file, "");
    const loop = join(folder, "loop");
    Deno.symlinkSync(loop, loop);
    const reasons: [string, string][] = [
      [join(folder, "none.toml"), "it does not exist"],
      [folder, "it is a directory, expected a file"],
      ["/dev/zero", "it is a device, pipe or socket, expected a file"],
      [join(file, "x"), "a part of its path is not a folder"],
      [loop, "its symbolic links lead in a circle"],
    ];
    for (const [path, reason] of reasons) {
      assert.equal(messageAt(path), `Cannot read file "${path}": ${reason}`);
    }
  });
});

Deno.test("loadConfig refuses a file it has no permission to read", () => {
  inFolder((folder) => {
    const path = join(folder, "pgtls.toml");
    Deno.writeTextFileSync(path, toml());
    chmodSync(folder, 0o755);
    chmodSync(path, 0);
    asNobody(() => assert.equal(messageAt(path), `Cannot read file "${path}": permission denied`));
  });
});

function messageFor(content: string | Uint8Array): string {
  return inFolder((folder) => {
    const path = join(folder, "pgtls.toml");
    Deno.writeFileSync(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
    return messageAt(path);
  });
}

function messageAt(path: string): string {
  try {
    loadConfig(path);
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.problems.length, 1);
    assert.equal(error.problems[0]?.path, "");
    return error.problems[0]?.message ?? "";
  }
  return assert.fail("loaded");
}

function inFolder<Value>(action: (folder: string) => Value): Value {
  const folder = Deno.makeTempDirSync();
  try {
    return action(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** root may read everything, so it steps down for the moment. */
function asNobody(action: () => void): void {
  if (process.geteuid?.() !== 0) return action();
  process.seteuid?.(65_534);
  try {
    action();
  } finally {
    process.seteuid?.(0);
  }
}
