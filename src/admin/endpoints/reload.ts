/** `POST /reload`: what SIGHUP does, with an answer. */

import type { ReloadState } from "../../observe/reload_state.ts";
import { json } from "../answer.ts";
import type { Endpoint } from "../router.ts";

/** Reloads configuration and files; 200 when everything was taken, 422 with the problems when not. */
export function reloadEndpoint(reload: () => Promise<ReloadState>): Endpoint {
  return {
    POST: async () => {
      const { generation, last: { ok, at, problems } } = await reload();
      const answer = { ok, at: new Date(at).toISOString(), generation, problems };
      return json(answer, { status: ok ? 200 : 422 });
    },
  };
}
