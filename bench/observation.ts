/** What it costs to be watched: the same queries without an admin server, with one, and with its page open. */

import { chromium } from "playwright-core";
import { freePort } from "../src/demo/ports.ts";
import { PGTLS, pgtls, type Proxy } from "./contestants.ts";
import type { Contestant, Figure } from "./figure.ts";
import { measure, warmUp } from "./queries.ts";
import type { Stage } from "./stage.ts";

const ADMIN = "with admin server";
const ELSEWHERE = "…, page of another pgtls open";
const PAGE = "…, its own page open";

/**
 * As the figure "prepared"; the page is the real one, in headless Chromium. A browser that draws a page takes CPU from
 * everything else on a small machine, so the page's own cost is told by comparing with the same page watching a pgtls
 * that has nothing to do.
 */
export const observation: Figure = {
  name: "observation",
  title:
    "Being watched: the same queries, without an admin server, with one, and with its page open in Chromium",
  metrics: [
    { key: "cpu", title: "CPU µs a query", digits: 1 },
    { key: "tps", title: "queries/s", digits: 0 },
  ],
  comparisons: [
    { of: ADMIN, to: PGTLS, metric: "cpu" },
    { of: PAGE, to: ELSEWHERE, metric: "cpu" },
  ],
  open,
};

async function open(stage: Stage, stack: AsyncDisposableStack): Promise<readonly Contestant[]> {
  const [own, other] = [freePort(), freePort()];
  stack.use(await withAdmin(stage, "idle", other).start("plaintext"));
  const watched = [
    { name: PGTLS },
    { name: ADMIN, adminPort: freePort() },
    { name: ELSEWHERE, adminPort: freePort(), page: other },
    { name: PAGE, adminPort: own, page: own },
  ];
  const contestants: Contestant[] = [];
  for (const { name, adminPort, page } of watched) {
    const server = stack.use(await withAdmin(stage, name, adminPort).start("plaintext"));
    await warmUp(stage, server);
    contestants.push({
      name,
      measure: async () => {
        await using _page = page === undefined ? null : await openPage(page);
        return await measure(stage, server);
      },
    });
  }
  return contestants;
}

function withAdmin(stage: Stage, name: string, port: number | undefined): Proxy {
  return pgtls(stage, name, {
    config: () => port === undefined ? {} : { admin: { bind_address: `127.0.0.1:${port}` } },
  });
}

async function openPage(adminPort: number): Promise<AsyncDisposable> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu"],
  });
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${adminPort}/`);
  await page.waitForSelector(".chip:text('Live')");
  return { [Symbol.asyncDispose]: () => browser.close() };
}

// Debian's.
const CHROMIUM = "/usr/bin/chromium";
