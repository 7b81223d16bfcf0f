/** What can be seen of the proxy, fed by its events: connections, certificates, metrics, and the events themselves. */

import { Certificates } from "./certificates.ts";
import { Connections } from "./connections.ts";
import type { LiveBytes, Observer } from "./events.ts";
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
  /** As given, but never late: whoever does not answer in time has nothing to say. */
  readonly liveBytes: LiveBytes;
  #isDraining = false;

  constructor(sources: ObservationSources) {
    this.sources = sources;
    this.liveBytes = () => withinTime(sources.liveBytes);
    const { connections, certificates } = this;
    this.metrics = new Metrics({ ...sources, liveBytes: this.liveBytes, connections, certificates });
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

/** An isolate that is busy must not keep a scrape from telling that. */
async function withinTime(liveBytes: LiveBytes): ReturnType<LiveBytes> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late: ReturnType<LiveBytes> = new Promise((resolve) => {
    timer = setTimeout(() => resolve(new Map()), LIVE_BYTES_MS);
  });
  try {
    return await Promise.race([liveBytes(), late]);
  } catch {
    return new Map();
  } finally {
    clearTimeout(timer);
  }
}

// Prometheus gives a scrape 10 s.
const LIVE_BYTES_MS = 2_000;
