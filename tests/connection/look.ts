/** For tests of what comes to rest. */
import { restLater } from "../../src/connection/rest.ts";
import { until } from "../support/closing_lines.ts";

/** Waits until whoever waits has been asked, as often as it takes for one that came later. */
export async function aLook(): Promise<void> {
  let looked = false;
  restLater({ rest: () => looked = true });
  await until(() => looked, "a look for sessions that may rest");
}
