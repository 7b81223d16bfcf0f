/** packaging/Dockerfile, as far as it can be held without a Docker engine. */
import assert from "node:assert/strict";
import { RUN_PERMISSIONS } from "../../tools/permissions.ts";

const ROOT = new URL("../../", import.meta.url);

interface Instruction {
  readonly name: string;
  readonly value: string;
  /** The stage it belongs to. */
  readonly stage: string;
}

Deno.test("the Dockerfile builds on the Deno that the project is developed with", async () => {
  const used = /deno@([\d.]+)/.exec(await Deno.readTextFile(new URL(".ci/run", ROOT)))?.[1];
  const images = (await instructions()).filter(({ name, value }) =>
    name === "FROM" && value.startsWith("denoland/")
  );
  assert.equal(images.length, 2);
  for (const { value } of images) assert.match(value, new RegExp(`^denoland/deno:(distroless-)?${used} AS `));
});

Deno.test("what the Dockerfile copies from the repository exists, and .dockerignore lets it through, and nothing else", async () => {
  const copied = (await instructions()).flatMap(({ name, value }) => {
    if (name !== "COPY" || value.startsWith("--from=")) return [];
    return value.split(" ").slice(0, -1).map((path) => path.replace("./", ""));
  });
  for (const path of copied) await Deno.stat(new URL(path, ROOT));
  const ignore = await Deno.readTextFile(new URL(".dockerignore", ROOT));
  const lines = ignore.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  assert.deepEqual(lines, ["*", ...copied.map((path) => `!${path}`)]);
});

Deno.test("the Dockerfile runs tasks that deno.json has", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  const run = (await instructions()).filter(({ name }) => name === "RUN").map(({ value }) =>
    JSON.parse(value)
  );
  for (const [program, command, task] of run) {
    assert.equal(program, "deno");
    if (command === "task") assert.ok(task in tasks, task);
  }
});

Deno.test("both images run as a user without privileges, by a command without a shell", async () => {
  for (const stage of ["bundle", "executable"]) {
    const found = new Map(
      (await instructions()).filter((one) => one.stage === stage).map(({ name, value }) => [name, value]),
    );
    assert.match(found.get("USER") ?? "", /^[1-9]\d*:[1-9]\d*$/, stage);
    const entry = JSON.parse(found.get("ENTRYPOINT")!);
    const command = JSON.parse(found.get("CMD")!);
    assert.deepEqual(command, ["run", "--config", "/etc/pgtls/pgtls.toml"]);
    if (stage === "executable") assert.deepEqual(entry, ["/usr/local/bin/pgtls"]);
    else {
      const permissions = entry.filter((flag: string) => flag.startsWith("--allow"));
      assert.deepEqual(permissions, RUN_PERMISSIONS);
    }
  }
});

async function instructions(): Promise<Instruction[]> {
  const text = await Deno.readTextFile(new URL("packaging/Dockerfile", ROOT));
  let stage = "";
  return text.split("\n").filter((line) => /^[A-Z]+ /.test(line)).map((line) => {
    const at = line.indexOf(" ");
    const [name, value] = [line.slice(0, at), line.slice(at + 1)];
    if (name === "FROM") stage = value.split(" AS ")[1] ?? "";
    return { name, value, stage };
  });
}
