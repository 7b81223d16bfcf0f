/** A strict reader of Prometheus's text exposition format 0.0.4: what it does not know is an error. */
import assert from "node:assert/strict";

/** A family of samples. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly samples: readonly Sample[];
}

/** One line. */
export interface Sample {
  /** With `_bucket`, `_sum` or `_count` in a histogram. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * Reads an exposition: every family with HELP and TYPE, in one group, no sample twice, buckets that add up.
 *
 * @see {@link https://prometheus.io/docs/instrumenting/exposition_formats/ | Prometheus, Exposition formats}
 */
export function parseExposition(text: string): Map<string, MetricFamily> {
  assert.ok(text.endsWith("\n"), "the last line ends in a newline");
  const families = new Map<string, MetricFamily & { samples: Sample[] }>();
  const lines = text.split("\n").filter((line) => line !== "");
  let current: (MetricFamily & { samples: Sample[] }) | null = null;
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    const help = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (help) {
      const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(lines[++i] ?? "");
      assert.equal(type?.[1], help[1], `TYPE follows HELP of ${help[1]}`);
      assert.ok(!families.has(help[1]!), `${help[1]} is one group`);
      current = { name: help[1]!, help: help[2]!, type: type![2] as MetricFamily["type"], samples: [] };
      families.set(current.name, current);
      continue;
    }
    const sample = parseSample(line);
    assert.ok(current !== null && isOf(sample.name, current), `${line} stands under its own TYPE`);
    assert.ok(!current.samples.some((other) => isSame(other, sample)), `${line} stands once`);
    current.samples.push(sample);
  }
  for (const family of families.values()) check(family);
  return families;
}

/** The value of the one sample with these labels; 0 where a counter has none yet. */
export function valueOf(
  families: ReadonlyMap<string, MetricFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ""));
  assert.ok(family, `metric ${name}`);
  const found = family.samples.filter((sample) =>
    sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value)
  );
  assert.ok(found.length <= 1, `one sample of ${name} with ${JSON.stringify(labels)}`);
  return found[0]?.value ?? 0;
}

function parseSample(line: string): Sample {
  const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
  assert.ok(match, `a sample: ${line}`);
  const [, name, labels = "", value] = match;
  const number = value === "+Inf" ? Infinity : Number(value);
  assert.ok(!Number.isNaN(number), `a number: ${line}`);
  return { name: name!, labels: parseLabels(labels, line), value: number };
}

function parseLabels(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== "") {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(,|$)/.exec(rest);
    assert.ok(match, `labels: ${line}`);
    assert.ok(!(match[1]! in labels), `each label once: ${line}`);
    labels[match[1]!] = match[2]!.replace(/\\(.)/g, (_, escaped) => escaped === "n" ? "\n" : escaped);
    rest = rest.slice(match[0].length);
  }
  return labels;
}

function isOf(sample: string, { name, type }: MetricFamily): boolean {
  if (type !== "histogram") return sample === name;
  return [`${name}_bucket`, `${name}_sum`, `${name}_count`].includes(sample);
}

function isSame(one: Sample, other: Sample): boolean {
  const [a, b] = [one, other].map(({ name, labels }) => name + JSON.stringify(Object.entries(labels).sort()));
  return a === b;
}

function check({ name, type, samples }: MetricFamily): void {
  if (type === "counter") {
    assert.match(name, /_total$/);
    for (const { value } of samples) assert.ok(value >= 0 && Number.isFinite(value), name);
  }
  if (type !== "histogram") return;
  for (const { labels, value } of samples.filter((sample) => sample.name === `${name}_count`)) {
    const buckets = samples.filter((sample) =>
      sample.name === `${name}_bucket` &&
      Object.entries(labels).every(([key, is]) => sample.labels[key] === is)
    );
    const values = buckets.map((bucket) => bucket.value);
    assert.deepEqual(values, values.toSorted((a, b) => a - b), `${name}: buckets do not shrink`);
    assert.equal(buckets.at(-1)?.labels.le, "+Inf");
    assert.equal(values.at(-1), value, `${name}: the last bucket is the count`);
  }
}
