/** What a figure is, and how its contestants take turns. */

import type { Stage } from "./stage.ts";

/** One quantity of a figure. */
export interface Metric {
  readonly key: string;
  /** What it is, with its unit. */
  readonly title: string;
  readonly digits: number;
}

/** Somebody who is measured. */
export interface Contestant {
  readonly name: string;
  /** One measurement: a number for each metric that means something for this contestant. */
  measure(): Promise<Readonly<Record<string, number>>>;
}

/** A pair worth a ratio. */
export interface Comparison {
  readonly of: string;
  readonly to: string;
  readonly metric: string;
}

/** CPU of one contestant next to that of each of the others. */
export function cpuComparisons(of: string, others: readonly string[]): readonly Comparison[] {
  return others.map((to) => ({ of, to, metric: "cpu" }));
}

/** One thing to find out. */
export interface Figure {
  /** Short name, for `--only`. */
  readonly name: string;
  readonly title: string;
  readonly metrics: readonly Metric[];
  readonly comparisons: readonly Comparison[];
  /** Starts the contestants; `stack` ends them. */
  open(stage: Stage, stack: AsyncDisposableStack): Promise<readonly Contestant[]>;
}

/** All measurements of one contestant: for each metric one number a round. */
export interface Samples {
  readonly contestant: string;
  readonly values: Readonly<Record<string, readonly number[]>>;
}

/** A figure and what was measured. */
export interface FigureResult {
  readonly figure: Figure;
  readonly samples: readonly Samples[];
}

/** Options of {@linkcode runFigure}. */
export interface RunOptions {
  readonly rounds: number;
  /** Told of every measurement as it is made. */
  readonly note: (line: string) => void;
}

/**
 * Measures every contestant once a round. They take turns, and every round another one begins: what else the machine
 * does in the meantime falls on all of them.
 */
export async function runFigure(figure: Figure, stage: Stage, options: RunOptions): Promise<FigureResult> {
  await using stack = new AsyncDisposableStack();
  const contestants = await figure.open(stage, stack);
  const values = contestants.map((): Record<string, number[]> => ({}));
  for (let round = 0; round < options.rounds; round++) {
    for (let turn = 0; turn < contestants.length; turn++) {
      const index = (round + turn) % contestants.length;
      const contestant = contestants[index]!;
      const measured = await contestant.measure();
      for (const [metric, value] of Object.entries(measured)) (values[index]![metric] ??= []).push(value);
      options.note(`${figure.name}, round ${round + 1}, ${contestant.name}: ${describe(figure, measured)}`);
    }
  }
  return { figure, samples: contestants.map(({ name }, i) => ({ contestant: name, values: values[i]! })) };
}

function describe(figure: Figure, measured: Readonly<Record<string, number>>): string {
  const known = figure.metrics.filter(({ key }) => measured[key] !== undefined);
  return known.map(({ key, title, digits }) => `${measured[key]!.toFixed(digits)} ${title}`).join(", ");
}
