/** What is to be reached, and whether a run has. */

import { PGTLS, STUNNEL } from "./contestants.ts";
import { named as onCores } from "./cores.ts";
import type { FigureResult } from "./figure.ts";
import { ROUTES } from "./hundred_routes.ts";
import { atShare, SHARES } from "./latency.ts";
import { PGBOUNCER } from "./peers.ts";
import { ONE_ISOLATE } from "./queries.ts";
import { named as underReload, reload, reloadOfBundles, WORKERS } from "./reload.ts";
import { median, ratio } from "./report.ts";

/** A bound for one number of one figure. */
interface Goal {
  readonly title: string;
  readonly figure: string;
  readonly metric: string;
  readonly of: string;
  /** Whom to compare with; none: the number itself is bounded. */
  readonly to?: string;
  readonly bound: "at most" | "at least";
  /** Whether every round has to hold it, not the median; for a number that is compared with nobody. @default false */
  readonly isForAll?: boolean;
  readonly limit: number;
}

/** A table of the goals whose figures were measured. */
export function goalsToMarkdown(results: readonly FigureResult[]): string {
  const rows = GOALS.flatMap((goal) => {
    const value = valueOf(goal, results);
    if (value === null) return [];
    const isMet = goal.bound === "at most" ? value <= goal.limit : value >= goal.limit;
    return [
      `| ${goal.title} | ${goal.bound} ${goal.limit} | ${format(value)} | ${isMet ? "met" : "missed"} |`,
    ];
  });
  if (rows.length === 0) return "";
  return ["## Against the goals", "", "| goal | | measured | |", "| --- | --- | ---: | --- |", ...rows, ""]
    .join("\n");
}

function valueOf(
  { figure, metric, of, to, bound, isForAll }: Goal,
  results: readonly FigureResult[],
): number | null {
  const samples = results.find((result) => result.figure.name === figure)?.samples;
  const values = (name: string) => samples?.find(({ contestant }) => contestant === name)?.values[metric];
  const own = values(of);
  if (own === undefined) return null;
  if (to === undefined) return isForAll ? worst(own, bound) : median(own);
  const other = values(to);
  return other === undefined ? null : ratio(own, other);
}

function worst(values: readonly number[], bound: Goal["bound"]): number {
  return bound === "at most" ? Math.max(...values) : Math.min(...values);
}

function format(value: number): string {
  return value >= 10 ? value.toFixed(0) : value.toFixed(2);
}

const ofPlaintext = `${PGTLS} → plaintext`;
const ofManyCas = `${PGTLS} → TLS, 140 CAs`;

const copyGoals = [STUNNEL, PGBOUNCER].flatMap((to) =>
  (["out", "in"] as const).flatMap((way): Goal[] => [
    {
      title: `COPY ${way}, MB/s, next to ${to}`,
      figure: "copy",
      metric: way,
      of: PGTLS,
      to,
      bound: "at least",
      limit: 1,
    },
    {
      title: `COPY ${way}, CPU a GB, next to ${to}`,
      figure: "copy",
      metric: `${way}Cpu`,
      of: PGTLS,
      to,
      bound: "at most",
      limit: 1,
    },
  ])
);

const atMost = (title: string, limit: number, rest: Omit<Goal, "title" | "limit" | "bound">): Goal => ({
  title,
  limit,
  bound: "at most",
  ...rest,
});

const query = { figure: "prepared", metric: "cpu", of: PGTLS };
const oneIsolate = { ...query, of: ONE_ISOLATE };

const GOALS: readonly Goal[] = [
  atMost("CPU a prepared query, next to PgBouncer", 1, { ...query, to: PGBOUNCER }),
  atMost("CPU a prepared query, next to stunnel", 0.6, { ...query, to: STUNNEL }),
  atMost("CPU a prepared query, workers = 1, next to PgBouncer", 1, { ...oneIsolate, to: PGBOUNCER }),
  atMost("CPU a prepared query, workers = 1, next to stunnel", 0.6, { ...oneIsolate, to: STUNNEL }),
  ...SHARES.map((share) =>
    atMost(`p99 at ${share.name} of the direct rate, next to PgBouncer`, 1.1, {
      figure: "latency",
      metric: "p99",
      of: atShare(PGTLS, share),
      to: atShare(PGBOUNCER, share),
    })
  ),
  ...copyGoals,
  atMost("CPU a new connection, plaintext backend, next to stunnel", 0.8, {
    figure: "connections",
    metric: "cpu",
    of: ofPlaintext,
    to: `${STUNNEL} → plaintext`,
  }),
  atMost("CPU a new connection, TLS backend, 140 CAs, next to two stunnels", 0.5, {
    figure: "connections",
    metric: "cpu",
    of: ofManyCas,
    to: `${STUNNEL} → TLS, 140 CAs`,
  }),
  atMost("CPU a new connection, 140 CAs, next to 1 CA", 1.1, {
    figure: "connections",
    metric: "cpu",
    of: ofManyCas,
    to: `${PGTLS} → TLS, 1 CA`,
  }),
  atMost("CPU a new connection, auth.mode scram, next to passthrough", 1.15, {
    figure: "logins",
    metric: "cpu",
    of: "scram",
    to: "passthrough",
  }),
  {
    title: "new connections/s, two workers next to one, on two slow cores",
    figure: "cores",
    metric: "rate",
    of: onCores(2, 2),
    to: onCores(1, 2),
    bound: "at least",
    limit: 1.7,
  },
  ...[reload, reloadOfBundles].flatMap(({ name }) =>
    WORKERS.map((workers) =>
      atMost(
        `ms, longest new connection around reloads of ${ROUTES} routes (${name}), workers = ${workers}, all rounds`,
        100,
        {
          figure: name,
          metric: "longest",
          of: underReload(workers, true),
          isForAll: true,
        },
      )
    )
  ),
  atMost("kB an idle TLS session, of the first some", 16, { figure: "memory", metric: "each", of: PGTLS }),
  atMost("kB an idle TLS session, of 2,000", 20, { figure: "memory", metric: "eachOfMany", of: PGTLS }),
  atMost("kB a further idle TLS session, up to 2,000", 20, { figure: "memory", metric: "slope", of: PGTLS }),
  atMost("ms from the command to the first connection", 200, { figure: "start", metric: "ms", of: PGTLS }),
];
