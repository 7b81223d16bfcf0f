/** Resumption stays on (Java and .NET clients rely on it), and each resumed session is judged anew. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { summarizeTls, type TlsSummary } from "../../src/tls/record.ts";
import { startCountingBackend } from "../support/counting_backend.ts";
import { makeCa, makeSelfSigned } from "../support/pki.ts";
import { startPlainPostgres } from "../support/postgres.ts";
import { isEvent, listenerKeys, startTestProxy, type TestProxy } from "../support/proxy.ts";
import { sClient } from "../support/s_client.ts";

const VERSIONS = ["1.2", "1.3"] as const;
const ca = makeCa({ name: "client CA" });
const server = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });

Deno.test("a client that resumes with an accepted certificate gets its session", async (t) => {
  const leaf = ca.issue({ name: "alice", purpose: "client" });
  await using postgres = await startPlainPostgres();
  const backend = { address: `127.0.0.1:${postgres.port}`, tls_enabled: false };
  await using proxy = await startTestProxy({ listener: listenerKeys(server, ca), backend });
  await withTicket(async (ticket) => {
    for (const [index, version] of VERSIONS.entries()) {
      await t.step(`TLS ${version}`, async () => {
        const full = await sClient(proxy.ports[0]!, { version, leaf, sessionOut: ticket });
        assert.deepEqual([full.resumed, full.ready], [false, true], full.stderr);
        // It ends with its backend's process, and that may take until after the next one.
        await proxy.closed(2 * index + 1);
        const resumed = await sClient(proxy.ports[0]!, { version, leaf, sessionIn: ticket });
        assert.deepEqual([resumed.resumed, resumed.ready], [true, true], resumed.stderr);
        const [before, after] = (await summaries(proxy, 2 * index + 2)).slice(-2);
        assert.deepEqual({ ...before, resumed: true }, after, "but for that, the TLS record is the same");
        assert.equal(after?.client_cert_name, "CN=alice");
        assert.equal(before?.resumed, false);
      });
    }
    const identities = proxy.events.filter(isEvent("peer.verified")).map(({ identity }) => identity);
    assert.deepEqual(identities, Array(4).fill("verified"));
  });
});

Deno.test("a client whose certificate optional refused is no more verified when it resumes", async (t) => {
  const leaf = makeSelfSigned({ name: "alice", purpose: "client" });
  await using fake = await startCountingBackend();
  const listener = { ...listenerKeys(server, ca), mtls: "optional" };
  await using proxy = await startTestProxy({ listener, backend: fake.backend });
  await withTicket(async (ticket) => {
    for (const [index, version] of VERSIONS.entries()) {
      await t.step(`TLS ${version}`, async () => {
        await sClient(proxy.ports[0]!, { version, leaf, sessionOut: ticket });
        await proxy.closed(2 * index + 1);
        const { resumed, ready } = await sClient(proxy.ports[0]!, { version, leaf, sessionIn: ticket });
        assert.deepEqual([resumed, ready], [true, true]);
        const errors = (await summaries(proxy, 2 * index + 2)).map((tls) => tls?.client_cert_error ?? "none");
        for (const error of errors) assert.match(error, /^Cannot accept certificate "CN=alice"/);
      });
    }
    const identities = proxy.events.filter(isEvent("peer.verified")).map(({ identity }) => identity);
    assert.deepEqual(identities, Array(4).fill("client_certificate_refused"));
  });
});

Deno.test("a ticket dies with the certificate it was made for", async (t) => {
  const leaf = ca.issue({ name: "alice", purpose: "client", notAfter: new Date(Date.now() + HOUR_MS) });
  await using fake = await startCountingBackend();
  await using proxy = await startTestProxy({ listener: listenerKeys(server, ca), backend: fake.backend });
  await withTicket(async (ticket) => {
    for (const version of VERSIONS) {
      await t.step(`TLS ${version}`, async () => {
        const before = await sClient(proxy.ports[0]!, { version, leaf, sessionOut: ticket });
        assert.ok(before.ready, before.stderr);
        const accepts = fake.accepts();
        const after = await inTwoHours(() => sClient(proxy.ports[0]!, { version, leaf, sessionIn: ticket }));
        assert.deepEqual([after.resumed, after.sqlstate, after.ready], [true, "28000", false]);
        assert.equal(fake.accepts(), accepts, "nothing may be dialled");
        assert.equal(proxy.events.findLast(isEvent("peer.rejected"))?.code, "expired");
      });
    }
  });
});

async function withTicket(use: (ticket: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-ticket-" });
  try {
    await use(join(dir, "ticket"));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function summaries(proxy: TestProxy, count: number): Promise<(TlsSummary | null)[]> {
  return (await proxy.closed(count)).map((closed) => closed.client_tls && summarizeTls(closed.client_tls));
}

/** The clock of this process put forward: pgtls runs in it, the runtime's TLS and OpenSSL keep the machine's. */
async function inTwoHours<T>(act: () => Promise<T>): Promise<T> {
  const now = Date.now;
  Date.now = () => now() + 2 * HOUR_MS;
  try {
    return await act();
  } finally {
    Date.now = now;
  }
}

const HOUR_MS = 60 * 60 * 1000;
