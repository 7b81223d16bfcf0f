/** The admin app: which path is answered by what. An app like any other, called with `http` and `websocket` scopes. */

import type { Config } from "../config/types.ts";
import type { Observer } from "../observe/events.ts";
import type { Observation } from "../observe/observation.ts";
import type { ReloadState } from "../observe/reload_state.ts";
import type { App } from "../scope/types.ts";
import { assetEndpoints, ASSETS } from "./assets.ts";
import { certificatesEndpoint } from "./endpoints/certificates.ts";
import { configEndpoint } from "./endpoints/config.ts";
import { connectionsEndpoint } from "./endpoints/connections.ts";
import { eventsEndpoint } from "./endpoints/events.ts";
import { livezEndpoint } from "./endpoints/livez.ts";
import { metricsEndpoint } from "./endpoints/metrics.ts";
import { readyzEndpoint, type Unreadiness } from "./endpoints/readyz.ts";
import { reloadEndpoint } from "./endpoints/reload.ts";
import { tlsEndpoint } from "./endpoints/tls.ts";
import { guard } from "./guard.ts";
import { type Endpoint, router } from "./router.ts";

/** What the endpoints read and command. */
export interface AdminSources {
  readonly observation: Observation;
  /** Takes what the admin server itself has to tell; goes to the log as well. */
  readonly observe: Observer;
  /** The configuration in force. */
  readonly config: () => Config;
  readonly reloadState: () => ReloadState;
  /** Reloads, and says what came of it. */
  readonly reload: () => Promise<ReloadState>;
  /** Asks the backends, now or a moment ago. */
  readonly probeBackends: () => Promise<readonly Unreadiness[]>;
  /** Whether a host name is this server's own; `null` = not looked at. */
  readonly isOwnHost: ((host: string) => boolean) | null;
}

/** Builds the app. */
export function adminApp(sources: AdminSources): App {
  const { observation, observe, isOwnHost } = sources;
  const { metrics, feed, certificates } = observation;
  const endpoints = new Map<string, Endpoint>([
    ...assetEndpoints(ASSETS),
    ["/certificates", certificatesEndpoint(certificates)],
    ["/config", configEndpoint(sources.config)],
    ["/connections", connectionsEndpoint(observation)],
    ["/events", eventsEndpoint(feed)],
    ["/livez", livezEndpoint()],
    ["/metrics", metricsEndpoint(metrics)],
    ["/readyz", readyzEndpoint(sources)],
    ["/reload", reloadEndpoint(sources.reload)],
    ["/tls", tlsEndpoint()],
  ]);
  const onRefused = (client: string, detail: string) => observe({ event: "admin.refused", client, detail });
  return guard(router(endpoints, (path, status) => metrics.countRequest(path, status)), {
    isOwnHost,
    onRefused,
  });
}
