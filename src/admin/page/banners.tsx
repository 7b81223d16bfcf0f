/** What is wrong with pgtls or with the page's connection to it, above everything else. */

import { formatDuration, formatTime } from "./format.ts";
import { describeReason, REASONS } from "./reason_words.ts";
import type { ReadinessJson } from "./shapes.ts";
import type { PageState } from "./state.ts";

/** The banners; none when all is well. */
export function Banners({ state, now, reconnect }: { state: PageState; now: number; reconnect: () => void }) {
  const { link, readiness, failures } = state;
  const reload = readiness?.last_reload;
  return (
    <>
      {link.kind === "lost" && (
        <Lost state={state} now={now} since={link.since} retryAt={link.retryAt} {...{ reconnect }} />
      )}
      {readiness?.ready === false && (
        <div class="banner bad">
          <strong>Not ready.</strong>
          <ul>
            {readiness.reasons.map(({ route, what, detail }) => (
              <li key={`${route} ${what} ${detail}`}>
                {route !== null && (
                  <>
                    <b>{route}</b>
                    {": "}
                  </>
                )}
                {describeUnreadiness(what)}: {detail}
              </li>
            ))}
          </ul>
        </div>
      )}
      {reload && !reload.ok && (
        <div class="banner warn">
          <strong>
            The reload at {formatTime(Date.parse(reload.at), now)} changed less than it was asked to.
          </strong>{" "}
          What could not be taken keeps its old files.
          <ul>{problemsOf(reload).map((problem) => <li key={problem}>{problem}</li>)}</ul>
        </div>
      )}
      {link.kind !== "lost" &&
        Object.entries(failures).map(([endpoint, detail]) => (
          <div class="banner warn" key={endpoint}>
            <strong>Could not load /{endpoint}:</strong> {detail}
          </div>
        ))}
    </>
  );
}

/** A close reason in the words it has elsewhere, or what only readiness knows. */
function describeUnreadiness(what: string): string {
  return Object.hasOwn(REASONS, what) ? describeReason(what).title : what.replaceAll("_", " ");
}

interface LostProps {
  readonly state: PageState;
  readonly now: number;
  readonly since: number;
  readonly retryAt: number;
  readonly reconnect: () => void;
}

function Lost({ state, now, since, retryAt, reconnect }: LostProps) {
  const { connectionsAt, failures } = state;
  const hasSnapshots = failures.connections === undefined && connectionsAt !== null && connectionsAt > since;
  // Rounded up: "in 0 s" would be "now".
  const wait = retryAt > now ? `in ${formatDuration(Math.ceil((retryAt - now) / 1000) * 1000)}` : "now";
  return (
    <div class="banner bad">
      <strong>Live events stopped at {formatTime(since, now)}.</strong> Trying again {wait}. {hasSnapshots
        ? "Tables are still refreshed every few seconds; what comes and goes in between is missed."
        : `Tables are as they were at ${
          connectionsAt === null ? "no time yet" : formatTime(connectionsAt, now)
        }.`} <button type="button" onClick={reconnect}>Try now</button>
    </div>
  );
}

function problemsOf({ problems }: NonNullable<ReadinessJson["last_reload"]>): string[] {
  return problems.map((problem) => {
    if (typeof problem !== "object" || problem === null) return String(problem);
    const { path, route, message } = problem as { path?: string; route?: string; message?: string };
    const where = [path, route === undefined ? undefined : `route "${route}"`].filter((part) => part);
    return message === undefined
      ? JSON.stringify(problem)
      : [where.join(", "), message].filter((p) => p).join(": ");
  });
}
