/** 200 MB through pgtls, both ways, with TLS on both legs: the checksums are those of the server. */
import assert from "node:assert/strict";
import { closingLines } from "../support/closing_lines.ts";
import { startTlsPostgres } from "../support/postgres.ts";
import { run } from "../support/process.ts";
import { startTestProxy } from "../support/proxy.ts";
import { ca, leaf, routeTo } from "../support/two_legs.ts";

const COPY_BYTES = 200_000_000;

Deno.test("COPY of 200 MB out of and into the database keeps every byte", async () => {
  await using server = await startTlsPostgres({
    ca,
    certificate: leaf,
    initSql: [
      "CREATE UNLOGGED TABLE source (id int, body text)",
      "CREATE UNLOGGED TABLE sink (id int, body text)",
    ]
      .flatMap((
        table,
      ) => [table, table.replace(/CREATE UNLOGGED TABLE (\w+).*/, "GRANT ALL ON $1 TO alice")]),
    settings: { fsync: "off", max_wal_size: "4GB" },
  });
  // Rows of 1,905 bytes, none like another, and just too short to be compressed.
  await server.query(
    "INSERT INTO source SELECT i, repeat(md5(i::text), 59) || to_char(i, 'FM00000000000000000') FROM generate_series(1, 106000) i",
  );
  const expected = await checksumOf(server, "source");
  await using proxy = await startTestProxy(routeTo(server.port, "TLS"));
  const connection = (port: number) =>
    `host=localhost hostaddr=127.0.0.1 port=${port} user=alice dbname=postgres sslmode=verify-full sslrootcert=${proxy.dir}/ca.pem`;
  await Deno.writeTextFile(`${proxy.dir}/ca.pem`, ca.certPem);
  const psql = (port: number, sql: string) => `psql -X -w -q -d "${connection(port)}" -c "${sql}"`;
  const through = proxy.ports[0]!;
  const script = [
    `set -e`,
    `${psql(through, "COPY source TO STDOUT")} | sha256sum`,
    `${psql(server.port, "COPY source TO STDOUT")} | ${psql(through, "COPY sink FROM STDIN")}`,
  ].join("\n");
  const { code, stdout, stderr } = await run("sh", ["-c", script], { env: { HOME: "/nonexistent" } });
  assert.equal(code, 0, stderr);
  assert.equal(stdout.split(" ")[0], expected, "sum of what came out");
  assert.equal(await checksumOf(server, "sink"), expected, "sum of what went in");
  const [out, into] = await closingLines(proxy);
  assert.ok(out!.bytes_from_backend > COPY_BYTES, `${out!.bytes_from_backend} bytes came out`);
  assert.ok(into!.bytes_from_client > COPY_BYTES, `${into!.bytes_from_client} bytes went in`);
});

/** SHA-256 of the table's COPY, made by the server itself. */
async function checksumOf(
  server: { dir: string; query(sql: string): Promise<Record<string, unknown>[]> },
  table: string,
): Promise<string> {
  await server.query(`COPY ${table} TO PROGRAM 'sha256sum > ${table}.sum'`);
  const [row] = await server.query(`SELECT left(pg_read_file('${table}.sum'), 64) AS sum`);
  return String(row?.sum);
}
