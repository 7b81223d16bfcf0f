/** An event as its fields are shown: in the log, and to whoever listens to the admin server. */

import { summarizeTls, type TlsFacts } from "../tls/record.ts";
import type { PgtlsEvent } from "./events.ts";

/** The event's own fields, without its name: certificates as fingerprints (docs/decisions/0002). */
export function fieldsOf({ event: _name, ...fields }: PgtlsEvent): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      TLS_FIELDS.has(name) && value !== null ? summarizeTls(value as TlsFacts) : value,
    ]),
  );
}

const TLS_FIELDS: ReadonlySet<string> = new Set(["tls", "client_tls", "backend_tls"]);
