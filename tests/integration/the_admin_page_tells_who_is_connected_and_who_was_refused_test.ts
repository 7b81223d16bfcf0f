/** The live page in headless Chromium, served by pgtls itself, while real psql clients come, work, go and are refused. */
import assert from "node:assert/strict";
import { ask } from "../support/admin_client.ts";
import { findBarriers } from "../support/axe.ts";
import { type Page, startBrowser, type TestBrowser, type WatchedPage } from "../support/browser.ts";
import { openCuttablePort } from "../support/cuttable_port.ts";
import { listenerKeys, startAdminProxy, type TestProxy } from "../support/proxy.ts";
import { makeCa, writeFiles } from "../support/pki.ts";
import { startMutualTlsPostgres } from "../support/postgres.ts";
import { psql, startPsql } from "../support/psql.ts";

const ca = makeCa({ name: "listener CA" });
const server = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
const clientCa = makeCa({ name: "client CA" });
const alice = clientCa.issue({ name: "alice", purpose: "client" });
const stranger = makeCa({ name: "another CA" }).issue({ name: "mallory", purpose: "client" });

const EVIL = "<img src=x onerror=\"document.title='owned'\">";

/** What a test is given: one PostgreSQL, one pgtls and one browser for all of them. */
interface Stage {
  readonly browser: TestBrowser;
  readonly proxy: TestProxy;
  /** Connection strings; `user` is `alice` unless given. */
  readonly asAlice: (user?: string) => string;
  readonly asStranger: () => string;
  readonly asNobody: () => string;
}

const TESTS: Record<string, (stage: Stage) => Promise<void>> = {
  async "a session appears with its user, certificate and TLS, its bytes grow, and it goes"(stage) {
    await using watched = await openPage(stage);
    const { page } = watched;
    await page.waitForSelector("text=Nobody is connected.");
    await using session = startPsql(stage.asAlice(), { args: ["-f", "-"] });
    await session.write("SELECT 'ready';\n");
    await session.waitFor(/ready/);
    const row = page.locator("tr.opening");
    await row.waitFor();
    await row.locator("text=in session").or(row.locator("text=TLS 1.3").nth(1)).first().waitFor();
    const text = await row.innerText();
    for (
      const expected of [
        "alice on demo",
        "CN=alice",
        "psql",
        "127.0.0.1:",
        "route0",
        "TLS 1.3",
        "AES-256-GCM",
      ]
    ) {
      assert.ok(text.includes(expected), `${expected} in ${text}`);
    }
    assert.equal(text.match(/TLS 1\.3/g)?.length, 2, "both legs");
    await session.write("SELECT repeat('x', 5000000);\n");
    await row.locator("text=/4\\.8 MB/").waitFor();
    await row.locator(".opener").click();
    await page.waitForSelector("tr.details >> text=TLS_AES_256_GCM_SHA384 (0x1302)");
    await page.waitForSelector("tr.details >> text=CN=pgtls");
    assert.deepEqual(await findBarriers(page), []);
    await session.closeInput();
    await session.exited;
    await page.waitForSelector("text=Nobody is connected.");
    await show(page, "ended");
    await page.check("text=Also those that ended as they should");
    await page.waitForSelector("tr.opening:has-text('Client left'):has-text('alice on demo')");
    assert.deepEqual(watched.complaints, []);
  },

  async "a refused client shows why, and what to do, live and after a reload of the page"(stage) {
    await using watched = await openPage(stage, "ended");
    const { page } = watched;
    for (
      const [connection, expected, advice] of [
        [stage.asNobody(), "it presented no certificate", "Set sslcert and sslkey"],
        [stage.asStranger(), "mallory", "add its CA to client_ca"],
      ] as const
    ) {
      const { stderr } = await psql(connection, { args: ["-c", "SELECT 1"] });
      assert.match(stderr, /client certificate re(quired|fused)/);
      for (const when of ["live", "reloaded"]) {
        const row = page.locator("tr.opening:has-text('Client certificate refused')").first();
        await row.locator(`text=${expected}`).first().waitFor();
        await row.locator(".opener").click();
        await page.waitForSelector(`tr.details >> text=${advice}`);
        await page.waitForSelector("tr.details >> text=peer_rejected");
        if (when === "live") await page.reload();
      }
      await page.locator("tr.is-open .opener").click();
    }
    assert.deepEqual(await findBarriers(page), []);
    assert.deepEqual(watched.complaints, []);
  },

  async "a name that is HTML stays a name"(stage) {
    await using watched = await openPage(stage);
    const { page } = watched;
    await using session = startPsql(stage.asAlice(EVIL), { args: ["-f", "-"] });
    await session.write("SELECT current_user;\n");
    await session.waitFor(/<img/);
    await page.waitForSelector(".user");
    assert.equal(await page.locator(".user b").innerText(), EVIL);
    assert.equal(await page.locator("img").count(), 0);
    await session.closeInput();
    await session.exited;
    await page.waitForSelector("text=Nobody is connected.");
    await show(page, "events");
    await page.waitForSelector("td:has-text('login as <img')");
    assert.equal(await page.locator("img").count(), 0);
    assert.doesNotMatch(await page.title(), /owned/);
    assert.deepEqual(watched.complaints, []);
  },

  async "the certificates are listed, soonest end first, with where each is used"(stage) {
    await using watched = await openPage(stage, "certificates");
    const { page } = watched;
    await page.waitForSelector("tr.opening");
    const rows = await page.locator("tr.opening").allInnerTexts();
    for (
      const [subject, use] of [
        ["CN=localhost", "listener, shown to clients: route0"],
        ["CN=client CA", "CA for clients: route0"],
        ["CN=backend CA", "CA for the backend: route0"],
        ["CN=pgtls", "pgtls's own, shown to the backend: route0"],
      ] as const
    ) {
      const row = rows.find((text) => text.includes(subject) && text.includes(use));
      assert.match(row ?? "", /29 days left/, `${subject}: ${use} in ${rows.join("\n")}`);
    }
    assert.deepEqual(await findBarriers(page), []);
    assert.deepEqual(watched.complaints, []);
  },

  async "a renewed certificate shows its new end at once, and a broken one that the old goes on"(stage) {
    const { dir, adminPort } = stage.proxy;
    const files = [
      `${dir}/route0-listener-server_cert.pem`,
      `${dir}/route0-listener-server_key.pem`,
    ] as const;
    await using watched = await openPage(stage, "certificates");
    const { page } = watched;
    const listener = page.locator("tr.opening:has-text('listener, shown to clients')");
    await listener.locator("text=29 days left").waitFor();
    const notAfter = new Date(Date.now() + 60.5 * 24 * 60 * 60 * 1000);
    const renewed = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost"], notAfter });
    await Deno.writeTextFile(files[0], renewed.chainPem);
    await Deno.writeTextFile(files[1], renewed.keyPem);
    assert.equal((await ask(adminPort, "/reload", { method: "POST" })).status, 200);
    await listener.locator("text=60 days left").waitFor();
    await Deno.writeTextFile(files[0], "broken");
    assert.equal((await ask(adminPort, "/reload", { method: "POST" })).status, 422);
    await page.waitForSelector("text=changed less than it was asked to");
    await page.waitForSelector(".banner >> text=/server_cert/");
    assert.equal(await listener.locator("text=60 days left").count(), 1);
    assert.deepEqual(await findBarriers(page), []);
    assert.deepEqual(watched.complaints, []);
    await Deno.writeTextFile(files[0], renewed.chainPem);
    assert.equal((await ask(adminPort, "/reload", { method: "POST" })).status, 200);
    await page.waitForSelector("text=changed less than it was asked to", { state: "detached" });
  },

  async "axe finds no serious barrier in the dark, and 320 pixels are enough"(stage) {
    await psql(stage.asNobody(), { args: ["-c", "SELECT 1"] });
    for (const options of [{ colorScheme: "dark" }, { width: 320 }] as const) {
      await using watched = await stage.browser.open(addressOf(stage), options);
      const { page } = watched;
      await page.waitForSelector(".chip:text-is('Live')");
      for (const view of ["connected", "ended", "certificates", "events"]) {
        await show(page, view);
        assert.deepEqual(await findBarriers(page), [], view);
        if (!("width" in options)) continue;
        assert.equal(await page.evaluate("document.documentElement.scrollWidth"), 320, view);
      }
    }
  },

  async "a connection to pgtls that breaks is made again, and nothing that happened meanwhile is missing"(
    stage,
  ) {
    await using port = await openCuttablePort(stage.proxy.adminPort);
    await using watched = await stage.browser.open(`http://localhost:${port.port}/`);
    const { page } = watched;
    await page.waitForSelector(".chip:text-is('Live')");
    port.cut();
    await page.waitForSelector("text=Live events stopped at");
    await using session = startPsql(stage.asAlice(), { args: ["-f", "-"] });
    await session.write("SELECT 'ready';\n");
    await session.waitFor(/ready/);
    port.mend();
    await page.waitForSelector(".chip:text-is('Live')");
    await page.waitForSelector("tr.opening:has-text('alice on demo')");
    await session.closeInput();
    await session.exited;
    await page.waitForSelector("text=Nobody is connected.");
  },
};

Deno.test("the live page, as pgtls serves it", async (t) => {
  await using browser = await startBrowser();
  await using postgres = await startMutualTlsPostgres({
    initSql: [`CREATE ROLE "${EVIL.replaceAll('"', '""')}" LOGIN`],
  });
  await using proxy = await startAdminProxy({}, {
    listener: listenerKeys(server, clientCa),
    backend: {
      address: `127.0.0.1:${postgres.port}`,
      root_ca: postgres.ca.certPem,
      client_cert: postgres.client.chainPem,
      client_key: postgres.client.keyPem,
    },
  });
  const files = await writeFiles(proxy.dir, {
    "ca.pem": ca.certPem,
    "alice.pem": alice.chainPem,
    "alice.key": alice.keyPem,
    "stranger.pem": stranger.chainPem,
    "stranger.key": stranger.keyPem,
  });
  const connect = (user: string, certificate: string) =>
    `host=localhost hostaddr=127.0.0.1 port=${proxy.ports[0]} dbname=demo user='${
      user.replaceAll("'", "\\'")
    }' ` +
    `sslmode=verify-full sslrootcert=${files["ca.pem"]} ${certificate}`;
  const stage: Stage = {
    browser,
    proxy,
    asAlice: (user = "alice") => connect(user, `sslcert=${files["alice.pem"]} sslkey=${files["alice.key"]}`),
    asStranger: () => connect("alice", `sslcert=${files["stranger.pem"]} sslkey=${files["stranger.key"]}`),
    asNobody: () => connect("alice", ""),
  };
  for (const [claim, test] of Object.entries(TESTS)) await t.step(claim, () => test(stage));
});

Deno.test("the live page over https and wss, for a browser with a client certificate only", async () => {
  await using browser = await startBrowser();
  const admin = { ...listenerKeys(server, clientCa) };
  await using proxy = await startAdminProxy(admin, {
    listener: listenerKeys(server),
    backend: { address: "127.0.0.1:1", tls_enabled: false },
  });
  const address = `https://localhost:${proxy.adminPort}/`;
  await using allowed = await browser.open(address, { leaf: alice });
  await allowed.page.waitForSelector(".chip:text-is('Live')");
  await allowed.page.waitForSelector("text=Backend not reached");
  await using refused = await browser.open(address, { leaf: stranger });
  assert.match(await refused.page.content(), /Client certificate refused/);
});

function addressOf({ proxy }: Stage): string {
  return `http://localhost:${proxy.adminPort}/`;
}

async function openPage(stage: Stage, view = "connected"): Promise<WatchedPage> {
  const watched = await stage.browser.open(`${addressOf(stage)}#${view}`);
  await watched.page.waitForSelector(".chip:text-is('Live')");
  return watched;
}

async function show(page: Page, view: string): Promise<void> {
  await page.click(`a[href="#${view}"]`);
  await page.waitForSelector(`#${view}-title`);
}
