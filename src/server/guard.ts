/** What nobody caught. */

import type { Observer } from "../observe/events.ts";

/** What nobody caught in this isolate is a bug of ours; it is said, and the other connections live on. */
export function guardIsolate(observe: Observer): void {
  const report = (error: unknown) => {
    const stack = error instanceof Error ? error.stack ?? "" : "";
    observe({ event: "server.failed", error: String(error), stack });
  };
  addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    report(event.reason);
  });
  addEventListener("error", (event) => {
    event.preventDefault();
    report(event.error);
  });
}
