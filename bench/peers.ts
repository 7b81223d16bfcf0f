/** The peers besides stunnel: PgBouncer as its users run it, and HAProxy as the floor of a copy without TLS. */

import { freePort } from "../src/demo/ports.ts";
import { type Proxy, writeFile } from "./contestants.ts";
import { ServerProcess } from "./process.ts";
import type { Stage } from "./stage.ts";

/** Keeps its connections to the backend: a new client costs it no new one. Session pooling, TLS towards clients. */
export const PGBOUNCER = "pgbouncer";

/** Copies TCP and nothing else; its clients connect in clear. */
export const HAPROXY = "haproxy";

/** Those that are installed. They stand before the plaintext backend only. */
export function poolersAndBalancers(stage: Stage): readonly Proxy[] {
  const { pgbouncer, haproxy } = stage.programs;
  return [
    ...(pgbouncer === null ? [] : [pgbouncerProxy(stage, pgbouncer)]),
    ...(haproxy === null ? [] : [haproxyProxy(stage, haproxy)]),
  ];
}

function pgbouncerProxy(stage: Stage, program: string): Proxy {
  return {
    name: PGBOUNCER,
    sslmode: "require",
    start: async () => {
      const port = freePort();
      // It refuses to run as root, and reads its files as whom it runs.
      const user = Deno.uid() === 0 ? ["-u", UNPRIVILEGED.name] : [];
      const file = await writeFile(stage, `pgbouncer-${port}.ini`, await pgbouncerConfig(stage, port));
      return await ServerProcess.start({ command: program, args: [...user, file], port });
    },
  };
}

async function pgbouncerConfig(stage: Stage, port: number): Promise<string> {
  const users = await writeFile(stage, `users-${port}.txt`, '"postgres" ""\n');
  const key = await writeFile(stage, `key-${port}.pem`, await Deno.readTextFile(stage.files.serverKey));
  if (Deno.uid() === 0) {
    await Deno.chmod(stage.dir, 0o711);
    await Deno.chmod(stage.files.serverCert, 0o644);
    await Deno.chown(key, UNPRIVILEGED.uid, null);
  }
  await Deno.chmod(key, 0o600);
  const settings = {
    listen_addr: "127.0.0.1",
    listen_port: port,
    unix_socket_dir: "",
    auth_type: "trust",
    auth_file: users,
    pool_mode: "session",
    max_client_conn: 5_000,
    default_pool_size: 2_000,
    client_tls_sslmode: "require",
    client_tls_cert_file: stage.files.serverCert,
    client_tls_key_file: key,
    log_connections: 0,
    log_disconnections: 0,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  return [
    "[databases]",
    `* = host=127.0.0.1 port=${stage.plain.port}`,
    "[pgbouncer]",
    ...lines,
    "",
  ].join("\n");
}

function haproxyProxy(stage: Stage, program: string): Proxy {
  return {
    name: HAPROXY,
    sslmode: "disable",
    start: async () => {
      const port = freePort();
      const file = await writeFile(stage, `haproxy-${port}.cfg`, haproxyConfig(stage, port));
      return await ServerProcess.start({ command: program, args: ["-db", "-f", file], port });
    },
  };
}

/** One thread: pgtls has one, too. */
function haproxyConfig({ plain }: Stage, port: number): string {
  return `global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 1h
  timeout server 1h
listen postgres
  bind 127.0.0.1:${port}
  server backend 127.0.0.1:${plain.port}
`;
}

/** Debian's user for programs that own nothing. */
const UNPRIVILEGED = { name: "nobody", uid: 65_534 };
