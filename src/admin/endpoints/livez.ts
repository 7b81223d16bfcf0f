/** `GET /livez`: whether the process still answers. */

import { json } from "../answer.ts";
import type { Endpoint } from "../router.ts";

/** Says yes; a process that cannot says nothing. */
export function livezEndpoint(): Endpoint {
  return { GET: () => json({ live: true }) };
}
