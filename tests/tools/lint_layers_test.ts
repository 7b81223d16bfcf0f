import assert from "node:assert/strict";
import plugin from "../../tools/lint_layers.ts";

const FORBIDDEN: readonly (readonly [file: string, source: string, reason: RegExp])[] = [
  ["src/wire/a.ts", 'import { Buffer } from "node:buffer";', /package is not for this layer/],
  ["src/wire/a.ts", 'import { z } from "zod";', /package is not for this layer/],
  ["src/wire/a.ts", 'import type { Socket } from "node:net";', /package is not for this layer/],
  ["src/wire/a.ts", 'import type { Config } from "../config/types.ts";', /may not depend on it/],
  ["src/wire/a.ts", 'const type: import("../tls/peer.ts").Peer | null = null;', /may not depend on it/],
  ["src/wire/a.ts", 'Deno.readFileSync("x");', /Cannot use Deno/],
  ["src/wire/a.ts", "const now = Date.now();", /Cannot use Date/],
  ["src/wire/a.ts", "const now = new Date();", /Cannot use Date/],
  ["src/wire/a.ts", "setTimeout(() => {}, 1);", /Cannot use setTimeout/],
  ["src/wire/a.ts", 'await import("../tls/verify.ts");', /may not depend on it/],
  ["src/wire/a.ts", 'export * from "../tls/verify.ts";', /may not depend on it/],
  ["src/wire/a.ts", 'export { verify } from "../tls/verify.ts";', /may not depend on it/],
  ["src/errors.ts", 'import { a } from "./config/types.ts";', /may not depend on it/],
  ["src/config/parse.ts", 'import { readFileSync } from "node:fs";', /package is not for this layer/],
  ["src/config/parse.ts", 'import { parse } from "smol-toml";', /package is not for this layer/],
  ["src/config/parse.ts", "const home = Deno.cwd();", /Cannot use Deno/],
  ["src/config/types.ts", 'import type { Problem } from "../errors.ts";', /may not depend on it/],
  ["src/config/load.ts", 'import { readFileSync } from "node:fs";', /package is not for this layer/],
  ["src/config/load.ts", 'import { loadMaterial } from "../tls/material.ts";', /may not depend on it/],
  ["src/tls/verify.ts", 'import { decode } from "../wire/startup_packet.ts";', /may not depend on it/],
  [
    "src/tls/verify.ts",
    'import type { Identified } from "../connection/identify.ts";',
    /may not depend on it/,
  ],
  ["src/tls/path/der.ts", 'import { decode } from "../../wire/startup_packet.ts";', /may not depend on it/],
  ["src/tls/verify.ts", 'import type { Scope } from "../scope/types.ts";', /may not depend on it/],
  ["src/tls/verify.ts", 'import { loadConfig } from "../config/load.ts";', /may not depend on it/],
  ["src/tls/verify.ts", 'import { x } from "../config/types.ts";', /types only/],
  ["src/scope/build.ts", 'import { connect } from "node:net";', /package is not for this layer/],
  ["src/scope/build.ts", 'import type { Started } from "../connection/startup.ts";', /may not depend on it/],
  ["src/auth/scram.ts", 'import { relay } from "../connection/relay.ts";', /may not depend on it/],
  [
    "src/connection/relay.ts",
    'import { handshake } from "./handshake.ts";',
    /only connection\/pipeline\.ts calls stages/,
  ],
  ["src/connection/relay.ts", 'import { type Secured, handshake } from "./handshake.ts";', /calls stages/],
  ["src/connection/socket.ts", 'import { negotiate } from "./negotiate.ts";', /calls stages/],
  ["src/connection/relay.ts", 'import { Log } from "../observe/log.ts";', /may not depend on it/],
  ["src/connection/relay.ts", 'import { count } from "../observe/events.ts";', /types only/],
  ["src/connection/relay.ts", 'import { loadConfig } from "../config/load.ts";', /may not depend on it/],
  ["src/connection/pipeline.ts", 'import { Server } from "../server.ts";', /may not depend on it/],
  ["src/connection/pipeline.ts", 'import type { Page } from "../admin/page.ts";', /may not depend on it/],
  ["src/observe/log.ts", 'import type { Session } from "../connection/relay.ts";', /may not depend on it/],
  ["src/observe/log.ts", 'import type { Page } from "../admin/routes.ts";', /may not depend on it/],
  ["src/admin/routes.ts", 'import { relay } from "../connection/relay.ts";', /may not depend on it/],
  ["src/admin/routes.ts", 'import type { Packet } from "../wire/startup_packet.ts";', /may not depend on it/],
  ["src/admin/routes.ts", 'import { loadMaterial } from "../tls/material.ts";', /types only/],
  ["src/admin/page/a.tsx", 'import { Feed } from "../../observe/feed.ts";', /may not depend on it/],
  ["src/admin/page/a.tsx", 'import { describeFailure } from "../../errors.ts";', /types only/],
  ["src/admin/page/a.ts", 'import { guard } from "../guard.ts";', /may not depend on it/],
  ["src/admin/page/a.ts", 'import { readFileSync } from "node:fs";', /package is not for this layer/],
  ["src/workers/pool.ts", 'import { Server } from "../server.ts";', /may not depend on it/],
  ["src/server.ts", 'import { runProxy } from "./cli/run.ts";', /may not depend on it/],
  ["src/server.ts", 'import { run } from "../main.ts";', /nobody imports main\.ts/],
  ["src/cli/run.ts", 'import { run } from "../../main.ts";', /nobody imports main\.ts/],
  ["src/cli/demo.ts", 'import { makeCa } from "../../tests/support/pki.ts";', /src imports only src/],
  [
    "src/cli/demo.ts",
    'import { renderSchema } from "../../tools/generate_schema.ts";',
    /src imports only src/,
  ],
  ["src/demo/postgres.ts", 'import { relay } from "../connection/relay.ts";', /types only/],
  ["src/elsewhere/new.ts", 'import { relay } from "../connection/relay.ts";', /may not depend on it/],
];

const ALLOWED: readonly (readonly [file: string, source: string])[] = [
  ["src/wire/a.ts", 'import { ProtocolError } from "../errors.ts";\nimport { b } from "./b.ts";'],
  [
    "src/wire/a.ts",
    "const record = { Deno: 1, Date: 2 }; const value = record.Date; const then = new Date(0);",
  ],
  [
    "src/config/parse.ts",
    'import { resolve } from "node:path";\nimport { z } from "zod";\nimport { x } from "./schema.ts";',
  ],
  [
    "src/config/load.ts",
    'import { parse } from "smol-toml";\nimport { readBoundedFile } from "./read_file.ts";',
  ],
  [
    "src/tls/material.ts",
    'import { Snapshot } from "../config/snapshot.ts";\nimport { readFileSync } from "node:fs";',
  ],
  ["src/tls/material.ts", 'import type { Config } from "../config/types.ts";'],
  [
    "src/connection/relay.ts",
    'import type { Secured } from "./handshake.ts";\nimport { type Started } from "./startup.ts";',
  ],
  [
    "src/connection/relay.ts",
    'import { readSome } from "./socket.ts";\nimport type { Observer } from "../observe/events.ts";',
  ],
  [
    "src/connection/pipeline.ts",
    'import { handshake } from "./handshake.ts";\nimport { relay } from "./relay.ts";',
  ],
  [
    "src/admin/server.ts",
    'import { TlsAcceptor } from "../tls/acceptor.ts";\nimport { metrics } from "../observe/metrics.ts";',
  ],
  ["src/admin/page.ts", 'import page from "./page/index.html" with { type: "text" };'],
  ["src/admin/page/a.tsx", 'import { useState } from "preact/hooks"; import { Table } from "./table.tsx";'],
  ["src/admin/page/a.ts", 'import type { CloseReason } from "../../errors.ts";'],
  [
    "src/server.ts",
    'import { listen } from "./connection/listen.ts";\nimport { loadMaterial } from "./tls/material.ts";',
  ],
  [
    "src/cli/run.ts",
    'import { Server } from "../server.ts";\nimport { startDemo } from "../demo/postgres.ts";',
  ],
  ["main.ts", 'import { main } from "./src/cli/program.ts";'],
  [
    "tests/wire/a_test.ts",
    'import { main } from "../../main.ts";\nimport { a } from "../../src/wire/a.ts";\nDeno.cwd();',
  ],
  ["tools/a.ts", 'import { a } from "../src/wire/a.ts";'],
  ["bench/a.ts", 'import { a } from "../src/connection/relay.ts";'],
];

for (const [file, source, reason] of FORBIDDEN) {
  Deno.test(`lint_layers refuses in ${file}: ${source}`, () => {
    const messages = lint(file, source);
    assert.equal(messages.length, 1, messages.join("\n"));
    assert.match(messages[0] ?? "", reason);
  });
}

for (const [file, source] of ALLOWED) {
  Deno.test(`lint_layers allows in ${file}: ${source.replaceAll("\n", " ")}`, () => {
    assert.deepEqual(lint(file, source), []);
  });
}

Deno.test("lint_layers knows a file by its absolute path too", () => {
  const path = decodeURIComponent(new URL("../../src/wire/a.ts", import.meta.url).pathname);
  assert.equal(lint(path, 'import "node:fs";').length, 1);
});

function lint(file: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, file, source).map(({ message }) => message);
}
