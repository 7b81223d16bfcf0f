/** What a TLS session that is resumed saves the proxy. */

import { PGTLS, proxies, STUNNEL } from "./contestants.ts";
import type { Contestant, Figure } from "./figure.ts";
import type { ServerProcess } from "./process.ts";
import type { Stage } from "./stage.ts";

const KINDS = ["full", "resumed"] as const;

/** `openssl s_client` logs in and out, again and again: libpq never resumes. */
export const resumed: Figure = {
  name: "resumed",
  title: "Resumed connections: openssl s_client logs in and out, TLS client leg, plaintext backend",
  metrics: [
    { key: "cpu", title: "CPU ms a connection", digits: 2 },
    { key: "share", title: "resumed, %", digits: 0 },
  ],
  comparisons: [
    { of: `${PGTLS}, resumed`, to: `${PGTLS}, full`, metric: "cpu" },
    ...KINDS.map((kind) => ({ of: `${PGTLS}, ${kind}`, to: `${STUNNEL}, ${kind}`, metric: "cpu" })),
  ],
  open,
};

async function open(stage: Stage, stack: AsyncDisposableStack): Promise<readonly Contestant[]> {
  const contestants: Contestant[] = [];
  for (const proxy of proxies(stage, [STUNNEL])) {
    const server: ServerProcess = stack.use(await proxy.start("plaintext"));
    await reconnect(stage, server.port, "full");
    for (const kind of KINDS) {
      contestants.push({
        name: `${proxy.name}, ${kind}`,
        measure: async () => {
          const { connections } = stage.effort;
          const before = server.cpuMs();
          const count = await reconnect(stage, server.port, kind);
          return { cpu: (server.cpuMs() - before) / connections, share: 100 * count / (connections - 1) };
        },
      });
    }
  }
  return contestants;
}

/** @returns How many of them were resumed. */
async function reconnect(stage: Stage, port: number, kind: typeof KINDS[number]): Promise<number> {
  const session = `${stage.dir}/session-${port}`;
  const client = `openssl s_client -starttls postgres -connect 127.0.0.1:${port} -ign_eof < "$0" 2>/dev/null`;
  const resuming = kind === "resumed" ? `-sess_in "${session}"` : "";
  const script = `${client} -sess_out "${session}" > /dev/null || exit 1
for i in $(seq ${stage.effort.connections - 1}); do ${client} ${resuming}; done | grep -c "^Reused,"`;
  const { stdout, stderr } = await new Deno.Command("sh", { args: ["-c", script, stage.files.hello] })
    .output();
  const count = new TextDecoder().decode(stdout).trim();
  if (count !== "") return Number(count);
  throw new Error(`Could not open sessions on port ${port}\n${new TextDecoder().decode(stderr)}`);
}
