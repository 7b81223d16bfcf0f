/** `pgtls demo` as a user meets it: the printed psql line, pasted into another shell, and Ctrl-C. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { pgtls, startPgtls } from "../support/pgtls.ts";
import { run, startProcess } from "../support/process.ts";

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`pgtls demo prints a psql line that works when pasted, and ${signal} removes everything`, async () => {
    await using demo = startPgtls("demo", "--port", "0");
    const [psqlLine] = await demo.waitFor(/^psql .*$/m, 60_000);
    const pasted = await run("sh", [
      "-c",
      `${psqlLine} -X -A -t -c 'SELECT client_dn, version FROM backend_tls'`,
    ]);
    assert.deepEqual([pasted.code, pasted.stdout, pasted.stderr], [0, "/CN=pgtls|TLSv1.3\n", ""]);
    const withoutCertificate = await run("sh", [
      "-c",
      `${psqlLine.replace(/ sslcert=\S+ sslkey=[^\s"]+/, "")} -X -w -c ''`,
    ]);
    assert.match(
      withoutCertificate.stderr,
      /FATAL: {2}client certificate required\nHINT: {2}Set sslcert and sslkey/,
    );
    const [, folder] = demo.output().stdout.match(/^Making certificates in (.+)$/m)!;
    const { code } = await demo.stop(signal);
    assert.equal(code, 0);
    await assert.rejects(Deno.stat(folder!), Deno.errors.NotFound);
    const [, backendPort] = demo.output().stdout.match(/^PostgreSQL +127\.0\.0\.1:(\d+)/m)!;
    await assert.rejects(
      Deno.connect({ hostname: "127.0.0.1", port: Number(backendPort) }),
      Deno.errors.ConnectionRefused,
    );
  });
}

Deno.test("pgtls demo ends and removes everything when npx or the task that started it is killed", async () => {
  const launcher = startProcess("npx", ["-y", `deno@${Deno.version.deno}`, "task", "demo", "--port", "0"], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    env: { NO_COLOR: "1" },
  });
  await launcher.waitFor(/^psql .*$/m, 120_000);
  const [, folder] = launcher.output().stdout.match(/^Making certificates in (.+)$/m)!;
  const { stdout } = await launcher.stop("SIGTERM");
  assert.match(stdout, /^Stopping pgtls and PostgreSQL$/m);
  await assert.rejects(Deno.stat(folder!), Deno.errors.NotFound);
});

Deno.test("pgtls demo on a taken port says so and ends with 1", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { code, stderr } = await pgtls("demo", "--port", String(taken.addr.port));
  assert.equal(code, 1);
  assert.match(
    stderr,
    /Cannot listen on port \d+ of 127\.0\.0\.1: it is taken or not allowed, expected a free port/,
  );
});
