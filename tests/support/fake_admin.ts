/** An admin server that says what a test wants it to say: the page's files, its endpoints, its event feed. */
import { PAGE_ASSETS } from "../../src/admin/page/assets.ts";
import type {
  CertificateJson,
  ConnectionJson,
  ConnectionsJson,
  EventJson,
  ReadinessJson,
  TlsJson,
} from "../../src/admin/page/shapes.ts";

/** What it answers; a test may change every part at any time. */
export interface Answers {
  open: ConnectionJson[];
  closed: ConnectionJson[];
  certificates: CertificateJson[];
  readiness: ReadinessJson;
}

/** A fake admin server. Dispose of it with `await using`. */
export interface FakeAdmin extends AsyncDisposable {
  readonly address: string;
  readonly answers: Answers;
  /** Requests so far, by path. */
  readonly requests: ReadonlyMap<string, number>;
  /** Feeds that are open. */
  feeds(): number;
  /** Sends an event to every feed. */
  send(event: Partial<EventJson> & { readonly event: string }): void;
  /** Ends every feed and takes no new one, until `false`. */
  refuseFeeds(refuse: boolean): void;
}

/** Starts it on a free port of 127.0.0.1. */
export function startFakeAdmin(answers: Partial<Answers> = {}): FakeAdmin {
  const all: Answers = { open: [], closed: [], certificates: [], readiness: READY, ...answers };
  const feeds = new Set<WebSocket>();
  const requests = new Map<string, number>();
  let refuses = false;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    requests.set(pathname, (requests.get(pathname) ?? 0) + 1);
    const asset = PAGE_ASSETS[pathname];
    if (asset) return respond(asset.body, asset.type);
    switch (pathname) {
      case "/connections":
        return respondJson(listing(all, new URL(request.url).searchParams));
      case "/certificates":
        return respondJson({ certificates: all.certificates });
      case "/readyz":
        return respondJson(all.readiness, all.readiness.ready ? 200 : 503);
      case "/events": {
        if (refuses) return new Response(null, { status: 503 });
        const { socket, response } = Deno.upgradeWebSocket(request);
        socket.onopen = () => feeds.add(socket);
        socket.onclose = () => feeds.delete(socket);
        return response;
      }
      default:
        return new Response("not found", { status: 404 });
    }
  });
  return {
    address: `http://127.0.0.1:${server.addr.port}/`,
    answers: all,
    requests,
    feeds: () => feeds.size,
    send(event) {
      const message = JSON.stringify({ time: new Date().toISOString(), level: "debug", ...event });
      for (const feed of feeds) feed.send(message);
    },
    refuseFeeds(refuse) {
      refuses = refuse;
      if (refuse) { for (const feed of feeds) feed.close(); }
    },
    async [Symbol.asyncDispose]() {
      for (const feed of feeds) feed.close();
      await server.shutdown();
    },
  };
}

/** A connection in session, with defaults for whatever a test does not care about. */
export function connectionJson(fields: Partial<ConnectionJson> = {}): ConnectionJson {
  return {
    connection: "c-00000001",
    route: "orders",
    client: "203.0.113.9:51514",
    state: "opened",
    user: "alice",
    database: "orders",
    application_name: "psql",
    backend: "db.internal:5432",
    opened_at: new Date(Date.now() - 60_000).toISOString(),
    duration_ms: 60_000,
    bytes_from_client: 1_234,
    bytes_from_backend: 56_789,
    client_tls: tlsJson({ client_cert_name: "CN=alice" }),
    backend_tls: tlsJson(),
    ...fields,
  };
}

/** A TLS record of TLS 1.3. */
export function tlsJson(fields: Partial<TlsJson> = {}): TlsJson {
  return {
    tls_version: 0x0304,
    cipher_suite: 0x1302,
    client_cert_name: null,
    client_cert_error: null,
    alpn: "postgresql",
    server_name: "db.example.com",
    resumed: false,
    ...fields,
  };
}

/** A connection that was refused because its certificate had ended, a moment ago. */
export function refusedJson(fields: Partial<ConnectionJson> = {}): ConnectionJson {
  return connectionJson({
    connection: "c-0000dead",
    state: "closed",
    user: null,
    database: null,
    application_name: null,
    backend: null,
    closed_at: new Date().toISOString(),
    duration_ms: 12,
    bytes_from_client: 0,
    bytes_from_backend: 0,
    reason: "peer_rejected",
    detail: 'Cannot accept client certificate "CN=alice": it expired on 2026-01-31',
    backend_tls: null,
    ...fields,
  });
}

/** A certificate that ends in `days`. */
export function certificateJson(days: number, fields: Partial<CertificateJson> = {}): CertificateJson {
  return {
    subject: "CN=db.example.com",
    sans: ["db.example.com"],
    issuer: "CN=Example CA",
    not_before: new Date(Date.now() - 30 * DAY_MS).toISOString(),
    not_after: new Date(Date.now() + days * DAY_MS).toISOString(),
    sha256: String(Math.abs(days)).padStart(64, "a"),
    used: [{ route: "orders", use: "listener", file: "server.pem", last_seen: null }],
    ...fields,
  };
}

/** What the real endpoint makes of its query. */
function listing({ open, closed }: Answers, query: URLSearchParams): ConnectionsJson {
  const view = (rows: readonly ConnectionJson[], count: string | null) =>
    rows.slice(0, Number(count ?? 100)).map(({ client_tls, backend_tls, ...rest }) =>
      query.get("tls") === "none" ? rest : { ...rest, client_tls, backend_tls } as ConnectionJson
    );
  return {
    open_count: open.length,
    closed_count: closed.length,
    open: view(open, query.get("open")),
    closed: view(closed, query.get("closed")),
  };
}

function respond(body: string, type: string, status = 200): Response {
  return new Response(body, {
    status,
    headers: { "content-type": type, "content-security-policy": PAGE_POLICY },
  });
}

function respondJson(value: unknown, status = 200): Response {
  return respond(JSON.stringify(value), "application/json", status);
}

const DAY_MS = 24 * 60 * 60 * 1000;
// As the real one: a page that breaks it must break here, too.
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const READY: ReadinessJson = {
  ready: true,
  reasons: [],
  generation: 1,
  last_reload: { ok: true, at: new Date().toISOString(), problems: [] },
};
