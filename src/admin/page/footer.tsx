/** Where to read the same as data. */

import { formatTime } from "./format.ts";
import type { PageState } from "./state.ts";

/** The footer. */
export function Footer({ state, now }: { state: PageState; now: number }) {
  const { readiness, connectionsAt } = state;
  const reload = readiness?.last_reload;
  return (
    <footer>
      <p>
        {connectionsAt === null ? "Nothing loaded yet" : `Tables as of ${formatTime(connectionsAt, now)}`}
        {readiness?.generation !== undefined && ` · configuration ${readiness.generation}`}
        {reload &&
          ` · last reload ${reload.ok ? "" : "(with problems) "}${formatTime(Date.parse(reload.at), now)}`}
      </p>
      <p>
        As data: {ENDPOINTS.map((path, i) => (
          <>
            {i > 0 && " · "}
            <a href={path} key={path}>/{path}</a>
          </>
        ))}
      </p>
    </footer>
  );
}

const ENDPOINTS = ["connections", "certificates", "config", "readyz", "metrics"];
