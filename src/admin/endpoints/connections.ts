/** `GET /connections`: who is connected now, and who was. */

import type { ConnectionRecord, Connections } from "../../observe/connections.ts";
import type { LiveBytes, RelayedBytes } from "../../observe/events.ts";
import { summarizeTls, type TlsFacts, tlsRecord } from "../../tls/record.ts";
import { type Answer, JSON_TYPE, problem, toJson } from "../answer.ts";
import type { Endpoint, Question } from "../router.ts";

/** What the endpoint reads. */
export interface ConnectionsSources {
  readonly connections: Connections;
  readonly liveBytes: LiveBytes;
}

/**
 * Open and closed connections, newest first, and how many there are: `?open=N` and `?closed=N` of each,
 * `?tls=summary` with fingerprints in place of PEM, `?tls=none` without the TLS, which is most of the work.
 */
export function connectionsEndpoint(sources: ConnectionsSources): Endpoint {
  return { GET: (question) => answer(question, sources) };
}

async function answer({ query }: Question, sources: ConnectionsSources): Promise<Answer> {
  const open = readCount(query, "open");
  const closed = readCount(query, "closed");
  const tls = query.get("tls") ?? "record";
  if (open === null || closed === null || !isView(tls)) {
    return problem(400, EXPECTED);
  }
  const live = await sources.liveBytes();
  const describe = (record: ConnectionRecord) => view(record, { live, tls: VIEWS[tls] });
  const { connections } = sources;
  const lists = {
    open: newest(connections.open.values(), open),
    closed: newest(connections.closed, closed),
  };
  const counts = { open_count: connections.open.size, closed_count: connections.closedCount };
  return { type: JSON_TYPE, body: listing(counts, lists, describe) };
}

/** The whole answer in pieces, so that thousands of connections do not hold up those that are being served. */
async function* listing(
  counts: Readonly<Record<string, number>>,
  lists: Readonly<Record<string, readonly ConnectionRecord[]>>,
  describe: (record: ConnectionRecord) => unknown,
): AsyncIterable<string> {
  yield toJson(counts).slice(0, -1);
  for (const [name, records] of Object.entries(lists)) {
    yield `,"${name}":[`;
    for (let i = 0; i < records.length; i += PER_PIECE) {
      const piece = records.slice(i, i + PER_PIECE).map((record) => toJson(describe(record))).join(",\n");
      yield i === 0 ? piece : `,\n${piece}`;
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    yield "]";
  }
  yield "}\n";
}

function view(
  record: ConnectionRecord,
  { live, tls }: {
    readonly live: ReadonlyMap<string, RelayedBytes>;
    /** `null`: leave it out. */
    readonly tls: ((facts: TlsFacts) => unknown) | null;
  },
): unknown {
  const { connection, route, client, state, user, database, application_name, backend, closed } = record;
  const bytes = live.get(connection) ?? { from_client: 0, from_backend: 0 };
  return {
    connection,
    route,
    client,
    state,
    user,
    database,
    application_name,
    backend,
    opened_at: new Date(record.opened_at).toISOString(),
    closed_at: closed && new Date(closed.at).toISOString(),
    duration_ms: closed?.duration_ms ?? Date.now() - record.opened_at,
    bytes_from_client: closed?.bytes_from_client ?? bytes.from_client,
    bytes_from_backend: closed?.bytes_from_backend ?? bytes.from_backend,
    reason: closed?.reason ?? null,
    detail: closed?.detail ?? null,
    rejection: record.rejection,
    ...(tls && {
      client_tls: record.client_tls && tls(record.client_tls),
      backend_tls: record.backend_tls && tls(record.backend_tls),
    }),
  };
}

/** The last `count` of them, last first. */
function newest(records: Iterable<ConnectionRecord>, count: number): ConnectionRecord[] {
  return count === 0 ? [] : [...records].slice(-count).reverse();
}

/** @returns `null` if it is no number. */
function readCount(query: URLSearchParams, name: string): number | null {
  const text = query.get(name) ?? String(DEFAULT_COUNT);
  return /^\d{1,6}$/.test(text) ? Number(text) : null;
}

/** The six keys of the TLS record, and three more that say how it came about. */
function fullRecord(facts: TlsFacts): unknown {
  const { alpn, serverName, resumed } = facts;
  return { ...tlsRecord(facts), alpn, server_name: serverName, resumed };
}

function isView(name: string): name is keyof typeof VIEWS {
  return Object.hasOwn(VIEWS, name);
}

const VIEWS = { record: fullRecord, summary: summarizeTls, none: null };

const EXPECTED =
  "Cannot use the query: expected open=NUMBER, closed=NUMBER, tls=record, tls=summary or tls=none";

// A page of people's size; ask for more when you want more.
const DEFAULT_COUNT = 100;

// Some 0.1 ms each, for names and PEM.
const PER_PIECE = 20;
