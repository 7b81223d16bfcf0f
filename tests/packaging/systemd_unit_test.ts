/** packaging/systemd: the unit says what pgtls does, and systemd itself finds nothing wrong with it where it is installed. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EXIT } from "../../src/cli/report.ts";
import { pgtls } from "../support/pgtls.ts";
import { run } from "../support/process.ts";

const UNIT = fileURLToPath(new URL("../../packaging/systemd/pgtls.service", import.meta.url));
const SYSUSERS = fileURLToPath(new URL("../../packaging/systemd/pgtls.sysusers", import.meta.url));

Deno.test("the unit is notified of readiness and reloads, and does not restart a configuration that does not pass", async () => {
  const service = await valuesOf("Service");
  assert.equal(service.get("Type"), "notify-reload");
  assert.equal(service.get("RestartPreventExitStatus"), String(EXIT.usage));
  assert.match(service.get("WatchdogSec") ?? "", /^\d+s$/);
  // As systemd.service(5) has it: notify-reload sends SIGHUP itself.
  assert.equal(service.get("ExecReload"), undefined);
});

Deno.test("the unit starts a command that pgtls knows, as a user that sysusers makes", async () => {
  const service = await valuesOf("Service");
  const [program, ...args] = (service.get("ExecStart") ?? "").split(" ");
  assert.equal(program, "/usr/local/bin/pgtls");
  const result = await pgtls(...args);
  assert.equal(result.code, EXIT.usage);
  assert.match(result.stderr, /Cannot .*"\/etc\/pgtls\/pgtls\.toml"/);
  const sysusers = await Deno.readTextFile(SYSUSERS);
  assert.match(sysusers, new RegExp(`^u ${service.get("User")} `, "m"));
});

Deno.test("the unit gives no privileges, and leaves what a JavaScript engine and its sockets need", async () => {
  const service = await valuesOf("Service");
  for (
    const key of ["NoNewPrivileges", "PrivateTmp", "PrivateDevices", "ProtectHome", "RestrictNamespaces"]
  ) {
    assert.equal(service.get(key), "yes", key);
  }
  assert.equal(service.get("ProtectSystem"), "strict");
  assert.equal(service.get("CapabilityBoundingSet"), "");
  assert.equal(service.get("MemoryDenyWriteExecute"), undefined);
  // AF_UNIX: NOTIFY_SOCKET, and backends on a socket path.
  assert.equal(service.get("RestrictAddressFamilies"), "AF_INET AF_INET6 AF_UNIX");
});

Deno.test("systemd-analyze verify has nothing to say", async () => {
  const version = await systemdVersion();
  if (version === null) {
    return console.log("  not done: no systemd-analyze here (Debian package systemd)");
  }
  const dir = await Deno.makeTempDir({ prefix: "pgtls-unit-" });
  try {
    const text = await Deno.readTextFile(UNIT);
    // The program is not installed here; and systemd before 253 has no notify-reload.
    const unit = text.replace(/^ExecStart=\S+/m, "ExecStart=/bin/true")
      .replace(/^Type=.*/m, version < 253 ? "Type=notify" : "Type=notify-reload");
    const file = join(dir, "pgtls.service");
    await Deno.writeTextFile(file, unit);
    const { code, stdout, stderr } = await run("systemd-analyze", ["verify", "--man=no", file]);
    assert.deepEqual({ code, said: stdout + stderr }, { code: 0, said: "" });
    const exposure = (await run("systemd-analyze", ["security", "--offline=true", file])).stdout;
    const [, level] = exposure.match(/exposure level for pgtls\.service: ([\d.]+)/) ?? [];
    assert.ok(Number(level) < 2, `exposure level ${level}`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

async function systemdVersion(): Promise<number | null> {
  try {
    const { code, stdout } = await run("systemd-analyze", ["--version"]);
    return code === 0 ? Number(stdout.match(/^systemd (\d+)/)?.[1]) : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** The keys of a section; a list's last line wins, which is enough here. */
async function valuesOf(section: string): Promise<ReadonlyMap<string, string>> {
  const text = await Deno.readTextFile(UNIT);
  const body = text.split(/^\[(\w+)\]$/m);
  const lines = body[body.indexOf(section) + 1]!.split("\n").filter((line) => /^\w+=/.test(line));
  return new Map(lines.map((line) => {
    const at = line.indexOf("=");
    return [line.slice(0, at), line.slice(at + 1)];
  }));
}
