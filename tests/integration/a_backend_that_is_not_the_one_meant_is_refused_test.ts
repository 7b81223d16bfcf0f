/**
 * Trap 3, first half: PostgreSQL 18 with certificates that it must not be trusted for, some of which the runtime
 * takes. Every row says what the runtime alone does, so that a newer one that does better is noticed.
 */
import assert from "node:assert/strict";
import { isIP } from "node:net";
import { connect } from "node:tls";
import { summarizeTls } from "../../src/tls/record.ts";
import { basicConstraints, CLIENT_AUTH, extendedKeyUsage, names } from "../support/certificate_extensions.ts";
import {
  type CertificateSpec,
  fromNow,
  issue,
  type Issued,
  makeLeaf,
  makeRoot,
} from "../support/chain_builder.ts";
import { impostorOf, issueBer, issueOld, leafOf } from "../support/odd_certificates.ts";
import { startTlsPostgres } from "../support/postgres.ts";
import { psql } from "../support/psql.ts";
import { isEvent, listenerKeys, startTestProxy } from "../support/proxy.ts";
import { sClient } from "../support/s_client.ts";

const root = makeRoot("backend CA");
const impostor = impostorOf(root);
const front = makeRoot("front CA");
const server = leafOf(makeLeaf(front));

interface Backend {
  readonly certificate: Issued;
  /** @default "localhost" */
  readonly serverName?: string;
  /** Whether `tls.connect` with `ca` says `authorized`. */
  readonly naively: "taken" | "refused";
}

const ACCEPTED: Record<string, Backend> = {
  "a sound certificate": { certificate: makeLeaf(root), naively: "taken" },
  "a certificate for the IP address": {
    certificate: issueFor({ iPAddress: "127.0.0.1" }),
    serverName: "127.0.0.1",
    naively: "taken",
  },
  "no subjectAltName, the name as CN": {
    certificate: issue({ subject: "localhost", issuer: root, extensions: [basicConstraints(false)] }),
    naively: "taken",
  },
};

const REFUSED: Record<string, Backend & { readonly detail: RegExp }> = {
  "a forged version 1 certificate": {
    certificate: issueOld(1, "localhost", impostor),
    naively: "taken",
    detail: /"CN=localhost": it is X.509 version 1, expected version 3/,
  },
  "a forged version 2 certificate": {
    certificate: issueOld(2, "localhost", impostor),
    naively: "taken",
    detail: /version 2, expected version 3/,
  },
  "a forged version 3 certificate in BER": {
    certificate: issueBer(impostor),
    naively: "taken",
    detail: /expected strict DER as RFC 5280 defines it/,
  },
  "a genuine version 1 certificate": {
    certificate: issueOld(1, "localhost", root),
    naively: "taken",
    detail: /version 1, expected version 3; reissue it with extensions, for example .*openssl x509/,
  },
  "a genuine version 3 certificate in BER": {
    certificate: issueBer(root),
    naively: "taken",
    detail: /expected strict DER as RFC 5280 defines it/,
  },
  "a forged version 3 certificate": {
    certificate: makeLeaf(impostor),
    naively: "refused",
    detail: /"CN=leaf": .*sign/,
  },
  "a self-signed certificate": {
    certificate: issue({ subject: "localhost", extensions: [names({ dNSName: "localhost" })] }),
    naively: "refused",
    detail: /"CN=localhost": /,
  },
  "another name": {
    certificate: issueFor({ dNSName: "db.example" }),
    naively: "refused",
    detail: /it is for .*db\.example.*, expected "localhost"/,
  },
  "another name beside the right CN": {
    certificate: issueFor({ dNSName: "db.example" }, { subject: "localhost" }),
    naively: "refused",
    detail: /it is for .*db\.example.*, expected "localhost"/,
  },
  "the right CN beside an IP address": {
    certificate: issueFor({ iPAddress: "127.0.0.1" }, { subject: "localhost" }),
    naively: "taken",
    detail: /it is for .*127\.0\.0\.1.*, expected "localhost"/,
  },
  "a partial wildcard": {
    certificate: issueFor({ dNSName: "d*.pg.example" }),
    serverName: "db.pg.example",
    naively: "taken",
    detail: /it is for .*d\*\.pg\.example.*, expected "db\.pg\.example"/,
  },
  "another IP address": {
    certificate: issueFor({ iPAddress: "127.0.0.2" }),
    serverName: "127.0.0.1",
    naively: "refused",
    detail: /it is for .*127\.0\.0\.2.*, expected "127\.0\.0\.1"/,
  },
  "the IP address as a DNS name": {
    certificate: issueFor({ dNSName: "127.0.0.1" }),
    serverName: "127.0.0.1",
    naively: "refused",
    detail: /expected "127\.0\.0\.1"/,
  },
  "an expired certificate": {
    certificate: makeLeaf(root, { notBefore: fromNow(-7200), notAfter: fromNow(-3600) }),
    naively: "refused",
    detail: /expired/,
  },
  "a certificate for clients": {
    certificate: makeLeaf(root, {
      extensions: [extendedKeyUsage(CLIENT_AUTH), names({ dNSName: "localhost" })],
    }),
    naively: "refused",
    detail: /extended key usage|extendedKeyUsage|serverAuth/i,
  },
};

Deno.test("a backend is used if its certificate is the one meant", async (t) => {
  for (const [what, backend] of Object.entries(ACCEPTED)) {
    await t.step(what, async () => {
      const { naively, answer, events, tls } = await tryBackend(backend);
      assert.equal(naively, backend.naively, "the runtime alone");
      assert.deepEqual([answer.ready, events], [true, []]);
      assert.equal(tls?.resumed, false);
    });
  }
});

Deno.test("a backend is refused if its certificate is not the one meant", async (t) => {
  for (const [what, backend] of Object.entries(REFUSED)) {
    await t.step(what, async () => {
      const { naively, answer, events, tls } = await tryBackend(backend);
      assert.equal(naively, backend.naively, "the runtime alone");
      assert.deepEqual([answer.sqlstate, answer.ready], ["08001", false]);
      assert.deepEqual(events.map(({ reason }) => reason), ["backend_untrusted"]);
      assert.match(events[0]!.detail, /^Backend is not trusted: Cannot accept /);
      assert.match(events[0]!.detail, backend.detail);
      assert.equal(tls, null);
    });
  }
});

Deno.test("psql is told that the backend is not trusted, and no more", async () => {
  await using postgres = await startTlsPostgres({ certificate: leafOf(issueOld(1, "localhost", impostor)) });
  const backend = { address: `127.0.0.1:${postgres.port}`, root_ca: root.pem, server_name: "localhost" };
  await using proxy = await startTestProxy({ listener: listenerKeys(server), backend });
  const { code, stderr } = await psql(
    `host=127.0.0.1 port=${proxy.ports[0]} user=alice dbname=demo sslmode=require`,
  );
  assert.equal(code, 2);
  assert.match(stderr, /FATAL: {2}backend is not trusted\n/);
  assert.doesNotMatch(stderr, /version|CA/);
});

async function tryBackend({ certificate, serverName = "localhost" }: Backend) {
  await using postgres = await startTlsPostgres({ certificate: leafOf(certificate) });
  const backend = { address: `127.0.0.1:${postgres.port}`, root_ca: root.pem, server_name: serverName };
  await using proxy = await startTestProxy({ listener: listenerKeys(server), backend });
  const naively = await isTakenNaively(postgres.port, serverName) ? "taken" : "refused";
  const answer = await sClient(proxy.ports[0]!);
  const [closed] = await proxy.closed(1);
  const tls = closed!.backend_tls && summarizeTls(closed!.backend_tls);
  return { naively, answer, events: proxy.events.filter(isEvent("backend.failed")), tls };
}

/** TLS at once, as PostgreSQL 18 takes it. */
function isTakenNaively(port: number, name: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({
      host: "127.0.0.1",
      port,
      ...(isIP(name) === 0 ? { servername: name } : {}),
      ca: root.pem,
      ALPNProtocols: ["postgresql"],
    });
    const settle = (isTaken: boolean) => {
      socket.destroy();
      resolve(isTaken);
    };
    socket.once("secureConnect", () => settle(socket.authorized));
    socket.on("error", () => settle(false));
  });
}

function issueFor(
  name: { dNSName: string } | { iPAddress: string },
  changes: Partial<CertificateSpec> = {},
): Issued {
  return makeLeaf(root, { extensions: [basicConstraints(false), names(name)], ...changes });
}
