/** HAProxy with the configuration that docs/scaling.md shows, on addresses of the test's own. */
import { connect } from "node:net";
import { join } from "node:path";
import { freePort } from "../../src/demo/ports.ts";
import { startProcess } from "./process.ts";

/** A load balancer in front of replicas. Dispose of it with `await using`. */
export interface HaProxy extends AsyncDisposable {
  readonly port: number;
  /** A command for its stats socket, such as `set server pgtls/a state drain`; gives the answer. */
  command(text: string): Promise<string>;
}

/**
 * Starts HAProxy in front of the replicas `a` and `b` on these ports of 127.0.0.1, and waits until it has seen both.
 *
 * @param program Its path.
 */
export async function startHaProxy(
  program: string,
  replicas: readonly [a: number, b: number],
): Promise<HaProxy> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-haproxy-" });
  const port = freePort();
  const socket = join(dir, "admin.sock");
  const file = join(dir, "haproxy.cfg");
  const shown = await shownConfiguration();
  const text = replaceEach(shown, {
    "/run/haproxy/admin.sock": socket,
    "bind :5432": `bind 127.0.0.1:${port}`,
    "10.0.0.11:6432": `127.0.0.1:${replicas[0]}`,
    "10.0.0.12:6432": `127.0.0.1:${replicas[1]}`,
    "inter 2s": "inter 100ms",
  });
  await Deno.writeTextFile(file, text);
  const process = startProcess(program, ["-db", "-f", file]);
  const command = (text: string) => ask(socket, text);
  try {
    for (let tries = 0; !await isUp(command); tries++) {
      if (tries > 200) throw new Error(`HAProxy did not start: ${process.output().stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } catch (error) {
    await process.stop("SIGKILL");
    throw error;
  }
  return {
    port,
    command,
    async [Symbol.asyncDispose]() {
      await process.stop("SIGTERM");
      await Deno.remove(dir, { recursive: true });
    },
  };
}

/** The `haproxy` block of docs/scaling.md. */
async function shownConfiguration(): Promise<string> {
  const text = await Deno.readTextFile(new URL("../../docs/scaling.md", import.meta.url));
  const [, block] = /^```haproxy\n(.*?)^```$/ms.exec(text) ?? [];
  if (block === undefined) throw new Error("docs/scaling.md has no haproxy block");
  return block;
}

/** @throws {Error} If something to replace is not there: then this no longer is what the page shows. */
function replaceEach(text: string, replacements: Readonly<Record<string, string>>): string {
  return Object.entries(replacements).reduce((result, [from, to]) => {
    if (!result.includes(from)) throw new Error(`docs/scaling.md does not show ${from}`);
    return result.replaceAll(from, to);
  }, text);
}

async function isUp(command: (text: string) => Promise<string>): Promise<boolean> {
  try {
    const lines = (await command("show stat")).split("\n").map((line) => line.split(","));
    const column = lines[0]!.indexOf("status");
    const servers = lines.filter(([proxy, name]) => proxy === "pgtls" && name !== "BACKEND");
    return servers.length === 2 && servers.every((fields) => fields[column] === "UP");
  } catch {
    return false;
  }
}

function ask(path: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    let answer = "";
    socket.setEncoding("utf8");
    socket.on("error", reject);
    socket.on("data", (chunk) => answer += chunk);
    socket.on("close", () => resolve(answer));
    socket.end(`${text}\n`);
  });
}
