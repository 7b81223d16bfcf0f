/** What can be seen of the proxy, fed by its events: connections, certificates, metrics, and the events themselves. */

import { Certificates } from "./certificates.ts";
import { Connections } from "./connections.ts";
import type { Observer } from "./events.ts";
import { Feed } from "./feed.ts";
import { Metrics, type MetricsSources } from "./metrics.ts";

/** Options of {@linkcode Observation}. */
export type ObservationSources = Omit<MetricsSources, "connections" | "certificates">;

/** One for the process, in the main isolate. Whoever has events hands them to `observe`. */
export class Observation {
  readonly connections = new Connections();
  readonly certificates = new Certificates();
  readonly feed = new Feed();
  readonly metrics: Metrics;
  readonly sources: ObservationSources;
  #isDraining = false;

  constructor(sources: ObservationSources) {
    this.sources = sources;
    const { connections, certificates } = this;
    this.metrics = new Metrics({ ...sources, connections, certificates });
  }

  /** Whether pgtls has begun to shut down. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Takes every event. */
  readonly observe: Observer = (event) => {
    if (event.event === "server.draining") this.#isDraining = true;
    this.connections.observe(event);
    this.certificates.observe(event);
    this.metrics.observe(event);
    this.feed.observe(event);
  };
}
