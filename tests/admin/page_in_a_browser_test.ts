/** The page in headless Chromium against a server that says what each test needs. */
import assert from "node:assert/strict";
import { LIMITS } from "../../src/admin/page/state.ts";
import { findBarriers } from "../support/axe.ts";
import { type Page, startBrowser, type TestBrowser } from "../support/browser.ts";
import {
  type Answers,
  certificateJson,
  connectionJson,
  type FakeAdmin,
  refusedJson,
  startFakeAdmin,
  tlsJson,
} from "../support/fake_admin.ts";

const VIEWS = ["connected", "ended", "certificates", "events"];
const TESTS: Record<string, (browser: TestBrowser) => Promise<void>> = {};

TESTS["axe finds a barrier where there is one"] = async (browser) => {
  const { page } = await browser.open("about:blank");
  await page.setContent(
    '<html lang="en"><title>x</title><button></button><p style="color:#eee">pale</p></html>',
  );
  const barriers = await findBarriers(page);
  assert.deepEqual(barriers.map((line) => line.split(":")[0]).sort(), ["button-name", "color-contrast"]);
};

TESTS["axe finds no serious barrier in any view, in light and in dark, wide and narrow"] = async (
  browser,
) => {
  await using admin = startFakeAdmin(busy());
  for (const [colorScheme, width] of [["light", 1280], ["dark", 1280], ["light", 320]] as const) {
    const { page } = await browser.open(admin.address, { colorScheme, width });
    await page.waitForSelector(".opener");
    admin.send({ event: "config.warning", level: "warn", problem: { message: "ends soon" } });
    admin.send({ event: "backend.failed", level: "error", reason: "backend_lost", detail: "gone" });
    for (const view of VIEWS) {
      await show(page, view);
      await page.waitForSelector(view === "events" ? "table.feed" : ".opener");
      if (view !== "events") await page.locator(".opener").first().click();
      const barriers = await findBarriers(page);
      assert.deepEqual(barriers, [], `${view}, ${colorScheme}, ${width} pixels wide`);
      assert.equal(await page.locator("h2").count(), 1);
    }
  }
};

TESTS["axe finds no serious barrier while nothing is well"] = async (browser) => {
  await using admin = startFakeAdmin({ ...busy(), readiness: NOT_READY });
  admin.refuseFeeds(true);
  for (const colorScheme of ["light", "dark"] as const) {
    const { page } = await browser.open(admin.address, { colorScheme });
    await page.waitForSelector("text=Live events stopped");
    await page.waitForSelector("text=Could not connect to db.internal");
    await page.waitForSelector("text=file does not exist");
    assert.deepEqual(await findBarriers(page), [], colorScheme);
  }
};

TESTS["nothing makes the page wider than the screen, from 320 pixels on"] = async (browser) => {
  const long = "x".repeat(300);
  const answers = busy();
  answers.open.push(connectionJson({
    ...{ connection: long, user: long, database: long, application_name: long, route: long, backend: long },
    client: `[${long}]:1`,
    bytes_from_client: 123 * 1024 ** 4,
    bytes_from_backend: 123 * 1024 ** 4,
    client_tls: tlsJson({ client_cert_name: long, resumed: true }),
    backend_tls: tlsJson({ resumed: true }),
    opened_at: "2000-01-01T00:00:00.000Z",
  }));
  answers.closed.push(refusedJson({ connection: `${long}y`, detail: long, client: `[${long}]:1` }));
  answers.certificates.push(certificateJson(5, { subject: long, sans: [long], issuer: long }));
  await using admin = startFakeAdmin({ ...answers, readiness: NOT_READY });
  const { page } = await browser.open(admin.address, { width: 320 });
  await page.waitForSelector(".opener");
  admin.send({ event: `some.${long}`, connection: long, level: long, route: long, [long]: long });
  for (const view of VIEWS) {
    await show(page, view);
    await page.waitForSelector(view === "events" ? "table.feed" : ".opener");
    for (const opener of await page.locator(".opener").all()) await opener.click();
    for (const width of [320, 480, 761, 1140, 1141, 1251, 1400]) {
      await page.setViewportSize({ width, height: 900 });
      const wide = await page.evaluate("document.documentElement.scrollWidth");
      assert.equal(wide, width, `${view}, ${width} pixels`);
    }
    await page.setViewportSize({ width: 320, height: 900 });
  }
};

TESTS["what clients send is shown as text, wherever it is shown"] = async (browser) => {
  const evil = "<img src=x onerror=\"document.title='owned'\">";
  const fields = {
    user: evil,
    database: evil,
    application_name: evil,
    client: evil,
    route: evil,
    backend: evil,
  };
  const tls = tlsJson({ client_cert_name: evil, client_cert_error: evil, server_name: evil, alpn: evil });
  await using admin = startFakeAdmin({
    open: [connectionJson({ ...fields, client_tls: tls, backend_tls: tls })],
    closed: [refusedJson({ ...fields, connection: "c-evil", detail: evil, client_tls: tls })],
    certificates: [certificateJson(1, {
      subject: evil,
      issuer: evil,
      sans: [evil],
      used: [{ route: evil, use: evil, file: evil, last_seen: null }],
    })],
    readiness: { ready: false, reasons: [{ route: evil, what: evil, detail: evil }] },
  });
  const { page, complaints } = await browser.open(admin.address);
  await page.waitForSelector(".opener");
  admin.send({ event: evil, level: evil, connection: evil, route: evil, detail: evil });
  for (const view of VIEWS) {
    await show(page, view);
    await page.waitForSelector(view === "events" ? "table.feed" : ".opener");
    for (const opener of await page.locator(".opener").all()) await opener.click();
    assert.ok((await page.locator("main").innerText()).includes(evil), view);
    assert.equal(await page.locator("img, script:not([src]), iframe").count(), 0, view);
  }
  assert.doesNotMatch(await page.title(), /owned/);
  assert.deepEqual(complaints.filter((text) => !/status of 503/.test(text)), []);
};

TESTS["characters that are obeyed and not seen are shown escaped"] = async (browser) => {
  await using admin = startFakeAdmin({ open: [connectionJson({ user: "al\u202eice\u200b" })] });
  const { page } = await browser.open(admin.address);
  await page.waitForSelector("text=al\\u202eice\\u200b");
};

TESTS["a feed that drops is said to have dropped, tried again, and made up for"] = async (browser) => {
  await using admin = startFakeAdmin({ open: [connectionJson({ user: "carol" })] });
  const { page } = await browser.open("about:blank");
  await page.clock.install();
  await page.goto(admin.address);
  await page.waitForSelector(".chip:text-is('Live')");
  await page.waitForSelector("text=carol");
  admin.refuseFeeds(true);
  await page.waitForSelector("text=Live events stopped");
  await page.waitForSelector(".chip:text-is('Not live')");
  await page.waitForSelector("[role=status]:text('The connection to pgtls is lost')", { state: "attached" });
  // Without the feed the tables are still refreshed.
  admin.answers.open = [connectionJson({ connection: "c-2", user: "bob" })];
  await page.waitForSelector("text=bob");
  assert.equal(await page.locator("text=carol").count(), 0);
  await page.waitForSelector("text=Tables are still refreshed");
  // It would try again by itself in a moment, and there would be nothing left to press.
  await stopClock(page);
  admin.refuseFeeds(false);
  await page.click("text=Try now");
  await until(() => admin.feeds() === 1);
  await page.clock.resume();
  await page.waitForSelector(".chip:text-is('Live')");
  admin.send({ event: "connection.accepted", connection: "c-3", route: "orders", client: "203.0.113.77:1" });
  await page.waitForSelector("text=203.0.113.77:1");
  assert.equal(await page.locator("text=Live events stopped").count(), 0);
};

TESTS["the page finds its way back by itself after pgtls was gone"] = async (browser) => {
  await using admin = startFakeAdmin({ open: [connectionJson({ user: "alice" })] });
  const { page } = await browser.open(admin.address);
  await page.waitForSelector(".chip:text-is('Live')");
  await page.context().setOffline(true);
  admin.refuseFeeds(true);
  await page.waitForSelector("text=Tables are as they were at");
  admin.refuseFeeds(false);
  await page.context().setOffline(false);
  await page.waitForSelector(".chip:text-is('Live')");
};

TESTS["of thousands of connections it shows the first, and says how many it does not"] = async (browser) => {
  const open = Array.from({ length: LIMITS.open + 500 }, (_, i) => connectionJson({ connection: `c-${i}` }));
  await using admin = startFakeAdmin({ open });
  const { page } = await browser.open(admin.address);
  await page.waitForSelector("text=Showing 100 of 5,000; 4,900 more are hidden.");
  await page.waitForSelector("text=500 more are beyond what this page keeps");
  assert.equal(await page.locator(".tile-figure").first().innerText(), "5,500");
  assert.equal(await page.locator(".opener").count(), 100);
  await page.click("text=Show 100 more");
  await page.waitForSelector("text=Showing 200 of 5,000");
  await page.fill("input[type=search]", "c-4321");
  await page.waitForSelector("text=1 open connection found");
  assert.equal(await page.locator(".opener").count(), 1);
};

TESTS["a storm of events leaves the page with its limits, and the browser in charge"] = async (browser) => {
  await using admin = startFakeAdmin();
  const { page, complaints } = await browser.open(`${admin.address}#events`);
  await page.waitForSelector(".chip:text-is('Live')");
  for (let i = 0; i < 20_000; i++) {
    admin.send({
      event: "connection.accepted",
      connection: `c-${i}`,
      route: "orders",
      client: "203.0.113.9:1",
    });
  }
  await page.waitForSelector(".tile-figure:text('20,000')");
  assert.equal(await page.locator("table.feed tbody tr").count(), 100);
  await page.waitForSelector("text=19,000 older events are no longer kept here");
  assert.deepEqual(complaints, []);
};

TESTS["the keyboard reaches everything, and focus is seen and not lost when rows come"] = async (browser) => {
  await using admin = startFakeAdmin({ open: [connectionJson()] });
  const { page } = await browser.open(admin.address);
  await page.waitForSelector(".opener");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Skip to the tables");
  assert.equal(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle"), "solid");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate("document.activeElement.id"), "main");
  await page.locator(".opener").focus();
  await page.keyboard.press("Enter");
  await page.waitForSelector("tr.details");
  assert.equal(await page.locator(".opener").getAttribute("aria-expanded"), "true");
  admin.send({ event: "connection.accepted", connection: "c-2", route: "orders", client: "203.0.113.77:1" });
  await page.waitForSelector("text=203.0.113.77:1");
  assert.match(await focused(page), /alice on orders/);
  await page.keyboard.press("Space");
  await page.waitForSelector("tr.details", { state: "detached" });
  // Round the whole page and out of it again: no trap.
  const seen = new Set<string>();
  for (let i = 0; i < 60 && !seen.has("Skip to the tables"); i++) {
    await page.keyboard.press("Tab");
    seen.add(await focused(page));
  }
  assert.ok(seen.has("Skip to the tables"), [...seen].join(" | "));
};

TESTS["views have addresses, and sorting says how"] = async (browser) => {
  await using admin = startFakeAdmin(busy());
  const { page } = await browser.open(`${admin.address}#certificates`);
  await page.waitForSelector("h2:text('Certificates')");
  assert.equal(await page.locator("nav [aria-current=page] .tile-title").innerText(), "Certificates");
  await show(page, "ended");
  await page.waitForSelector("h2:text('Refused and failed')");
  await page.goBack();
  await page.waitForSelector("h2:text('Certificates')");
  await show(page, "connected");
  await page.click("th button:text('From client')");
  assert.equal(await page.locator("th:has-text('From client')").getAttribute("aria-sort"), "descending");
  assert.match(await page.locator(".opener").first().innerText(), /bob/);
  await page.click("th button:text('From client')");
  assert.equal(await page.locator("th:has-text('From client')").getAttribute("aria-sort"), "ascending");
  assert.match(await page.locator(".opener").first().innerText(), /alice/);
};

TESTS["Pause holds everything still until it is pressed again"] = async (browser) => {
  await using admin = startFakeAdmin({ open: [connectionJson()] });
  const { page } = await browser.open(admin.address);
  await page.waitForSelector(".opener");
  await page.waitForSelector(".chip:text-is('Live')");
  await page.click("button:text('Pause')");
  admin.send({ event: "connection.accepted", connection: "c-2", route: "orders", client: "203.0.113.77:1" });
  await page.waitForSelector("text=1 new event");
  assert.equal(await page.locator(".opener").count(), 1);
  await page.click("button:text('Paused')");
  await page.waitForSelector("text=203.0.113.77:1");
};

TESTS["a page that nobody looks at asks nothing, and after a minute lets the feed go"] = async (browser) => {
  await using admin = startFakeAdmin({ open: [connectionJson()] });
  const { page } = await browser.open("about:blank");
  await page.clock.install();
  await page.goto(admin.address);
  await page.waitForSelector(".chip:text-is('Live')");
  await page.waitForSelector(".opener");
  await stopClock(page);
  await setHidden(page, true);
  await settled(admin);
  const asked = admin.requests.get("/connections");
  await page.clock.runFor(59_000);
  assert.equal(admin.requests.get("/connections"), asked);
  assert.equal(admin.feeds(), 1);
  await page.clock.runFor(2_000);
  await until(() => admin.feeds() === 0);
  await setHidden(page, false);
  await until(() => admin.feeds() === 1);
  await page.clock.resume();
  await page.waitForSelector(".chip:text-is('Live')");
};

// One browser for all: each page has a context of its own.
Deno.test("the page in a browser", async (t) => {
  await using browser = await startBrowser();
  for (const [claim, test] of Object.entries(TESTS)) {
    await t.step(claim, async () => {
      await test(browser);
      await browser.closePages();
    });
  }
});

function busy(): Answers {
  return {
    open: [
      connectionJson(),
      connectionJson({ connection: "c-2", user: "bob", backend_tls: null, bytes_from_client: 10 ** 9 }),
      connectionJson({
        connection: "c-3",
        user: null,
        database: null,
        state: "accepted",
        client_tls: null,
        bytes_from_client: 9_000,
      }),
    ],
    closed: [
      refusedJson(),
      refusedJson({ connection: "c-5", reason: "backend_lost" }),
      refusedJson({ connection: "c-6", reason: "idle_timeout" }),
    ],
    certificates: [-3, 1, 9, 88, 3000].map((days) => certificateJson(days)),
    readiness: { ready: true, reasons: [], generation: 1 },
  };
}

async function show(page: Page, view: string): Promise<void> {
  await page.click(`a[href="#${view}"]`);
  await page.waitForSelector(`#${view}-title`);
}

async function focused(page: Page): Promise<string> {
  return await page.evaluate("document.activeElement.innerText ?? document.activeElement.tagName") as string;
}

async function setHidden(page: Page, hidden: boolean): Promise<void> {
  await page.evaluate(`
    Object.defineProperty(document, "hidden", { value: ${hidden}, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  `);
}

/** From here on time passes for the page as the test says: after `install` it would go on by itself, too. */
async function stopClock(page: Page): Promise<void> {
  const now = await page.evaluate("Date.now()") as number;
  await page.clock.pauseAt(now + 10_000);
}

/** Waits until requests that were under way have been answered: two looks apart that see the same. */
async function settled(admin: FakeAdmin): Promise<void> {
  let before = -1;
  await until(() => {
    const now = [...admin.requests.values()].reduce((sum, count) => sum + count, 0);
    const isSame = now === before;
    before = now;
    return isSame;
  });
}

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("Waited 60 s in vain");
}

const NOT_READY = {
  ready: false,
  reasons: [{
    route: "orders",
    what: "backend_unreachable",
    detail: "Could not connect to db.internal:5432: connection refused",
  }],
  generation: 3,
  last_reload: {
    ok: false,
    at: "2026-01-01T00:00:00.000Z",
    problems: [{
      path: "proxy[0].listener.server_cert",
      route: "orders",
      message: 'Cannot read file "server.pem": file does not exist',
    }],
  },
};
