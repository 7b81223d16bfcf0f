/** Medians, spread and ratios, as Markdown and as JSON. */

import type { Comparison, FigureResult, Metric, Samples } from "./figure.ts";

/** Where and on what it was measured. */
export interface Circumstances {
  readonly date: string;
  readonly rounds: number;
  readonly cpus: number;
  readonly deno: string;
  readonly tree: string;
  /** Debian packages of peers that are not installed. */
  readonly missing: readonly string[];
}

/** A section of Markdown: one row a contestant, median and spread of each metric, then the ratios. */
export function toMarkdown({ figure, samples }: FigureResult): string {
  const header = ["", ...figure.metrics.map(({ title }) => title)];
  const rows = samples.map((row) => [row.contestant, ...figure.metrics.map((metric) => cell(row, metric))]);
  const ratios = figure.comparisons.flatMap((comparison) => ratioLine(figure.metrics, samples, comparison));
  const table = [header, header.map((_, i) => i === 0 ? "---" : "---:"), ...rows];
  const lines = table.map((cells) => `| ${cells.join(" | ")} |`);
  return [`## ${figure.title}`, "", ...lines, ...(ratios.length > 0 ? ["", ...ratios] : []), ""].join("\n");
}

/** The same as data, every measurement in it. */
export function toJson(circumstances: Circumstances, results: readonly FigureResult[]): string {
  const figures = results.map(({ figure: { name, title, metrics }, samples }) => ({
    name,
    title,
    metrics,
    contestants: samples.map(({ contestant, values }) => ({
      contestant,
      values,
      medians: Object.fromEntries(Object.entries(values).map(([key, list]) => [key, median(list)])),
    })),
  }));
  return JSON.stringify({ ...circumstances, figures }, null, 2);
}

/** The middle one, or the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle - 1)] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}

/** `median (lowest–highest)`, or a dash for what does not apply to this contestant. */
function cell({ values }: Samples, { key, digits }: Metric): string {
  const list = values[key];
  if (list === undefined) return "–";
  const [lowest, middle, highest] = [Math.min(...list), median(list), Math.max(...list)];
  const text = (value: number) => value.toFixed(digits);
  return list.length === 1 ? text(middle) : `${text(middle)} (${text(lowest)}–${text(highest)})`;
}

/** The median of the ratios of each round: both were measured within seconds of each other. */
export function ratio(above: readonly number[], below: readonly number[]): number {
  return median(above.map((value, round) => value / (below[round] ?? NaN)));
}

function ratioLine(
  metrics: readonly Metric[],
  samples: readonly Samples[],
  comparison: Comparison,
): string[] {
  const { of, to, metric } = comparison;
  const values = (name: string) => samples.find(({ contestant }) => contestant === name)?.values[metric];
  const [above, below] = [values(of), values(to)];
  const title = metrics.find(({ key }) => key === metric)?.title;
  if (above === undefined || below === undefined || title === undefined) return [];
  return [`- ${title}, ${of} / ${to}: **${ratio(above, below).toFixed(2)}**`];
}
