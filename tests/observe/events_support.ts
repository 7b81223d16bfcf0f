/** Events of made-up connections. */
import type { ConnectionClosed, PgtlsEvent } from "../../src/observe/events.ts";
import type { TlsFacts } from "../../src/tls/record.ts";

/** Every event of one session, from accept to the closing line. */
export function lifeOf(connection: string, closing: Partial<ConnectionClosed> = {}): PgtlsEvent[] {
  const fields = { connection, route: "orders", client: "203.0.113.9:51514" };
  const client_tls = closing.client_tls ?? factsOf();
  const backend_tls = closing.backend_tls ?? factsOf();
  const { user, database } = { user: "alice", database: "demo", ...closing };
  return [
    { event: "connection.accepted", ...fields },
    { event: "negotiation.completed", ...fields, transport: "requested_tls" },
    { event: "route.chosen", ...fields, server_name: "db.example.com" },
    { event: "handshake.completed", ...fields, tls: client_tls, duration_ms: 2 },
    { event: "peer.verified", ...fields, identity: "verified", tls: client_tls },
    {
      event: "startup.received",
      ...fields,
      user: user ?? "",
      database: database ?? "",
      application_name: "psql",
    },
    { event: "connection.authorized", ...fields },
    { event: "backend.connected", ...fields, backend: "db:5432", tls: backend_tls, duration_ms: 3 },
    {
      event: "session.opened",
      ...fields,
      auth_mode: "passthrough",
      client_binding: null,
      backend_binding: null,
    },
    {
      event: "connection.closed",
      ...fields,
      reason: "client_closed",
      detail: null,
      user,
      database,
      backend: "db:5432",
      bytes_from_client: 100,
      bytes_from_backend: 200,
      duration_ms: 12,
      client_tls,
      backend_tls,
      ...closing,
    },
  ];
}

/** The facts of a TLS connection with a client certificate of `size` octets, which is no certificate. */
export function factsOf(size = 900): TlsFacts {
  return {
    serverCert: new Uint8Array(900),
    clientChain: [new Uint8Array(size)],
    clientCertError: null,
    tlsVersion: 0x0304,
    cipherSuite: 0x1302,
    alpn: "postgresql",
    serverName: "db.example.com",
    resumed: false,
  };
}
