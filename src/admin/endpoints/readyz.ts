/** `GET /readyz`: whether clients that come now will be served, and if not, why. */

import { certificateEnds } from "../../observe/certificate_ends.ts";
import type { Certificates } from "../../observe/certificates.ts";
import type { Observation } from "../../observe/observation.ts";
import type { ReloadState } from "../../observe/reload_state.ts";
import { json } from "../answer.ts";
import type { Endpoint } from "../router.ts";

/** Why not. */
export interface Unreadiness {
  /** `null` = all of pgtls. */
  readonly route: string | null;
  /** `draining`, `certificate_expired`, or the close reason that clients of the route get. */
  readonly what: string;
  readonly detail: string;
}

/** What readiness depends on. */
export interface ReadinessSources {
  readonly observation: Observation;
  /** Asks the backends, now or a moment ago. */
  readonly probeBackends: () => Promise<readonly Unreadiness[]>;
  readonly reloadState: () => ReloadState;
}

/**
 * 200, or 503 with reasons. A reload that failed is told, but is no reason: what was loaded before goes on serving, and
 * taking every replica out of service for a typing error would be the outage it is not.
 */
export function readyzEndpoint(sources: ReadinessSources): Endpoint {
  return {
    GET: async () => {
      const { observation } = sources;
      const reasons = observation.isDraining ? [DRAINING] : [
        ...expired(observation.certificates),
        ...await sources.probeBackends(),
      ];
      const { generation, last: { ok, at, problems } } = sources.reloadState();
      const ready = reasons.length === 0;
      const last_reload = { ok, at: new Date(at).toISOString(), problems };
      return json({ ready, reasons, generation, last_reload }, { status: ready ? 200 : 503 });
    },
  };
}

function expired(certificates: Certificates): Unreadiness[] {
  const now = Date.now();
  return certificateEnds(certificates.loaded, now).filter(({ notAfter }) => notAfter < now).map((end) => ({
    route: end.route,
    what: "certificate_expired",
    detail: `Certificate "${end.subject}" (${end.use}, file "${end.file}") expired on ${
      new Date(end.notAfter).toISOString()
    }`,
  }));
}

const DRAINING: Unreadiness = { route: null, what: "draining", detail: "pgtls is shutting down" };
