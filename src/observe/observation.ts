/** What can be seen of the proxy, fed by its events: connections, metrics, and the events themselves. */

import { Connections } from "./connections.ts";
import type { Observer } from "./events.ts";
import { Feed } from "./feed.ts";
import { Metrics, type MetricsSources } from "./metrics.ts";

/** Options of {@linkcode Observation}. */
export type ObservationSources = Omit<MetricsSources, "connections">;

/** One for the process, in the main isolate. Whoever has events hands them to `observe`. */
export class Observation {
  readonly connections = new Connections();
  readonly feed = new Feed();
  readonly metrics: Metrics;

  constructor(sources: ObservationSources) {
    this.metrics = new Metrics({ ...sources, connections: this.connections });
  }

  /** Takes every event. */
  readonly observe: Observer = (event) => {
    this.connections.observe(event);
    this.metrics.observe(event);
    this.feed.observe(event);
  };
}
