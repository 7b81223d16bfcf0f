/** `GET /metrics`: Prometheus. */

import type { Metrics } from "../../observe/metrics.ts";
import type { Endpoint } from "../router.ts";

/** All metrics in the text format. */
export function metricsEndpoint(metrics: Metrics): Endpoint {
  return { GET: async () => ({ type: metrics.contentType, body: await metrics.render() }) };
}
