/** Throughput of the proxy, and what a gigabyte costs it. */

import { DIRECT, PGTLS, proxies, STUNNEL, through } from "./contestants.ts";
import type { Contestant, Figure } from "./figure.ts";
import type { ServerProcess } from "./process.ts";
import { PGBOUNCER } from "./peers.ts";
import { runClient, type Target } from "./programs.ts";
import type { Stage } from "./stage.ts";

const PEERS = [STUNNEL, PGBOUNCER];

/** COPY with psql, out of and into PostgreSQL: TLS client leg, plaintext backend. */
export const copy: Figure = {
  name: "copy",
  title: "Bulk: COPY out and in with psql, TLS client leg, plaintext backend",
  metrics: [
    { key: "out", title: "MB/s out", digits: 0 },
    { key: "outCpu", title: "CPU s/GB out", digits: 2 },
    { key: "in", title: "MB/s in", digits: 0 },
    { key: "inCpu", title: "CPU s/GB in", digits: 2 },
  ],
  comparisons: PEERS.flatMap((to) =>
    ["out", "outCpu", "in", "inCpu"].map((metric) => ({ of: PGTLS, to, metric }))
  ),
  open,
};

async function open(stage: Stage, stack: AsyncDisposableStack): Promise<readonly Contestant[]> {
  await writePieces(stage.dir);
  const target: Target = { port: stage.plain.port, sslmode: "disable" };
  const contestants: Contestant[] = [{ name: DIRECT, measure: () => measureDirect(stage, target) }];
  for (const proxy of proxies(stage, PEERS)) {
    const server = stack.use(await proxy.start("plaintext"));
    contestants.push({
      name: proxy.name,
      measure: () => measureProxy(stage, server, through(proxy, server)),
    });
  }
  return contestants;
}

async function measureDirect(stage: Stage, target: Target): Promise<Record<string, number>> {
  const megabytes = stage.effort.copyRows * ROW_BYTES / 1e6;
  const outSeconds = await seconds(() => copyOut(stage, target));
  const inSeconds = await seconds(() => copyIn(stage, target));
  return { out: megabytes / outSeconds, in: megabytes / inSeconds };
}

async function measureProxy(
  stage: Stage,
  server: ServerProcess,
  target: Target,
): Promise<Record<string, number>> {
  const gigabytes = stage.effort.copyRows * ROW_BYTES / 1e9;
  const atStart = server.cpuMs();
  const outSeconds = await seconds(() => copyOut(stage, target));
  const between = server.cpuMs();
  const inSeconds = await seconds(() => copyIn(stage, target));
  const atEnd = server.cpuMs();
  return {
    out: gigabytes * 1e3 / outSeconds,
    outCpu: (between - atStart) / 1e3 / gigabytes,
    in: gigabytes * 1e3 / inSeconds,
    inCpu: (atEnd - between) / 1e3 / gigabytes,
  };
}

/** Binary: text would measure how fast one PostgreSQL process escapes. */
async function copyOut({ programs, effort }: Stage, target: Target): Promise<void> {
  const rows = `SELECT repeat('x', ${
    ROW_BYTES - ROW_HEADER_BYTES
  }) FROM generate_series(1, ${effort.copyRows})`;
  await runClient(programs.psql, {
    target,
    args: [...PSQL, `COPY (${rows}) TO STDOUT (FORMAT binary)`],
    stdout: "null",
  });
}

/** `WHERE false`: the server reads every row and stores none, so that no disk is measured. */
async function copyIn({ programs, effort, dir }: Stage, target: Target): Promise<void> {
  const rows = Array.from({ length: effort.copyRows / FILE_ROWS }, () => "rows");
  const feed = `cd "${dir}" && cat ${["head", ...rows, "end"].join(" ")}`;
  const args = [...PSQL, "COPY sink FROM STDIN (FORMAT binary) WHERE false"];
  await runClient(programs.psql, { target, args, feed, stdout: "null" });
}

/**
 * The pieces of the file that is copied in, for `cat` to repeat: 10 MB on disk instead of a gigabyte.
 *
 * @see {@link https://www.postgresql.org/docs/current/sql-copy.html | PostgreSQL, COPY, Binary Format}
 */
async function writePieces(dir: string): Promise<void> {
  const head = new Uint8Array(SIGNATURE.length + 8);
  head.set(SIGNATURE);
  const row = new Uint8Array(ROW_BYTES).fill("x".charCodeAt(0));
  const view = new DataView(row.buffer);
  view.setInt16(0, 1);
  view.setInt32(2, ROW_BYTES - ROW_HEADER_BYTES);
  const rows = new Uint8Array(FILE_ROWS * ROW_BYTES);
  for (let i = 0; i < FILE_ROWS; i++) rows.set(row, i * ROW_BYTES);
  await Deno.writeFile(`${dir}/head`, head);
  await Deno.writeFile(`${dir}/rows`, rows);
  await Deno.writeFile(`${dir}/end`, new Uint8Array([0xff, 0xff]));
}

async function seconds(run: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await run();
  return (performance.now() - startedAt) / 1e3;
}

const PSQL = ["-X", "-q", "-d", "postgres", "-c"];

/** Length of a row in the binary format: long, so that psql, which works row by row, is not what is measured. */
const ROW_BYTES = 10_000;

/** The count of its columns and the length of the only one. */
const ROW_HEADER_BYTES = 6;

/** How many rows the piece on disk has; `copyRows` is a multiple of it. */
const FILE_ROWS = 1_000;

// "PGCOPY\n\377\r\n\0"; flags and the length of a header extension follow, both zero.
const SIGNATURE = [0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00];
