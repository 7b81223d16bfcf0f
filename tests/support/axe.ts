/** axe-core on a page in a browser: what people with disabilities would stumble over. */
import axe from "axe-core";
import type { Page } from "./browser.ts";

/** Violations that axe calls serious or critical, one line each with the first element it means. */
export async function findBarriers(page: Page): Promise<string[]> {
  if (await page.evaluate("typeof axe") === "undefined") await page.evaluate(axe.source);
  const { violations } = await page.evaluate('axe.run({ resultTypes: ["violations"] })') as axe.AxeResults;
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`);
}
