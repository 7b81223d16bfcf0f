/** Alerts and dashboard ask for metrics, labels and values that pgtls has. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { ask } from "../support/admin_client.ts";
import { startAdminProxy } from "../support/proxy.ts";

const PACKAGING = new URL("../../packaging/", import.meta.url);
const ROUTE = { listener: { tls_enabled: false }, backend: { address: "127.0.0.1:1", tls_enabled: false } };

/** Labels that Prometheus adds when it scrapes. */
const TARGET_LABELS = ["job", "instance"];

Deno.test("every metric and label of the alerts is one that pgtls has", async () => {
  const { groups } = parse(await Deno.readTextFile(new URL("prometheus/alerts.yaml", PACKAGING)));
  const rules = groups.flatMap((group: { rules: Rule[] }) => group.rules) as Rule[];
  for (const { alert, expr, labels, annotations } of rules) {
    await assertKnown(expr, alert);
    assert.match(labels.severity ?? "", /^(warning|critical)$/, alert);
    assert.ok(annotations.summary, alert);
    for (const [, label] of (annotations.summary ?? "").matchAll(/\$labels\.(\w+)/g)) {
      // A label that the expression aggregates away would be shown as nothing.
      const kept = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(/,\s*/);
      assert.ok(kept === undefined || kept.includes(label!), `${alert}: ${label} is aggregated away`);
    }
  }
  const names = rules.map(({ alert }) => alert);
  assert.equal(new Set(names).size, names.length);
  const asked = rules.map(({ expr }) => expr).join("\n");
  for (
    const metric of [
      "pgtls_certificate_not_after_timestamp_seconds - time() < 14 * 86400",
      "pgtls_tls_last_reload_successful == 0",
      'reason="handshake_failed"',
      "pgtls_backend_failures_total",
    ]
  ) assert.ok(asked.includes(metric), metric);
});

Deno.test("whatever an alert wants to hear of once begins at zero, so that the first one is an increase", async () => {
  const { groups } = parse(await Deno.readTextFile(new URL("prometheus/alerts.yaml", PACKAGING)));
  const rules = groups.flatMap((group: { rules: Rule[] }) => group.rules) as Rule[];
  const once = rules.filter(({ expr }) => /increase\(.*> 0$/s.test(expr.trim()));
  assert.ok(once.length > 3);
  await using proxy = await startAdminProxy({}, ROUTE);
  const { text } = await ask(proxy.adminPort, "/metrics");
  for (const { alert, expr } of once) {
    const [, metric = "", selector = ""] = /increase\((\w+)(?:\{([^}]*)\})?\[/.exec(expr) ?? [];
    const series = text.split("\n").filter((line) => line.startsWith(metric) && line.includes(selector));
    assert.ok(series.some((line) => line.endsWith(" 0")), `${alert}: ${metric}{${selector}} is not there`);
  }
});

Deno.test("every metric and label of the dashboard is one that pgtls has", async () => {
  const dashboard = JSON.parse(await Deno.readTextFile(new URL("grafana/dashboard.json", PACKAGING)));
  const variables = dashboard.templating.list.map(({ name }: { name: string }) => name);
  const panels = dashboard.panels.filter(({ type }: { type: string }) => type !== "row");
  const ids = dashboard.panels.map(({ id }: { id: number }) => id);
  assert.equal(new Set(ids).size, ids.length);
  for (const { title, targets, gridPos } of panels) {
    assert.ok(gridPos.x + gridPos.w <= 24, title);
    for (const { expr } of targets) {
      await assertKnown(expr, title);
      for (const [, name] of expr.matchAll(/\$(?!__)(\w+)/g)) {
        assert.ok(variables.includes(name), `${title}: $${name}`);
      }
    }
  }
});

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Record<string, string>;
  readonly annotations: Record<string, string>;
}

async function assertKnown(expr: string, where: string): Promise<void> {
  const known = await metrics;
  const asked = [...expr.matchAll(/\b((?:pgtls|process)_[a-z_]+)(?:\{([^}]*)\})?/g)];
  for (const [, metric = "", selector = ""] of asked) {
    const name = metric.replace(/_(bucket|sum|count)$/, "");
    const labels = known.get(known.has(metric) ? metric : name);
    assert.ok(labels, `${where}: there is no metric ${metric}`);
    for (const [, label = "", operator, value = ""] of selector.matchAll(/(\w+)\s*(=~|=|!=)\s*"([^"]*)"/g)) {
      assert.ok([...labels, ...TARGET_LABELS].includes(label), `${where}: ${metric} has no label ${label}`);
      if (label === "reason" && operator === "=") {
        assert.ok((await closeReasons).includes(value), `${where}: no close reason ${value}`);
      }
    }
  }
  const available = [
    ...TARGET_LABELS,
    "le",
    ...asked.flatMap(([, metric = ""]) =>
      known.get(metric) ?? known.get(metric.replace(/_(bucket|sum|count)$/, "")) ?? []
    ),
  ];
  for (const [, list = ""] of expr.matchAll(/\bby \(([^)]*)\)/g)) {
    for (const label of list.split(/,\s*/)) assert.ok(available.includes(label), `${where}: by (${label})`);
  }
}

/** Metrics by name, with their labels: the names as the admin server gives them, the labels as docs/metrics.md does. */
const metrics: Promise<ReadonlyMap<string, readonly string[]>> = (async () => {
  await using proxy = await startAdminProxy({}, ROUTE);
  const { text } = await ask(proxy.adminPort, "/metrics");
  const documented = await Deno.readTextFile(new URL("../../docs/metrics.md", import.meta.url));
  return new Map([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = ""]) => {
    const [, labels = ""] = new RegExp(`^\\| \`${name}\`\\s*\\|[^|]*\\|([^|]*)\\|`, "m").exec(documented) ??
      [];
    return [name, labels.split(",").map((label) => label.trim()).filter((label) => label !== "")];
  }));
})();

const closeReasons: Promise<readonly string[]> = (async () => {
  const source = await Deno.readTextFile(new URL("../../src/errors.ts", import.meta.url));
  const [, union = ""] = /export type CloseReason =([^;]*);/.exec(source) ?? [];
  return [...union.matchAll(/"(\w+)"/g)].map(([, reason = ""]) => reason);
})();
