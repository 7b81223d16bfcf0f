/** The one line in which a connection's life is summed up. */

import type { CloseReason, Failure } from "../errors.ts";
import type { EventBody, RelayedBytes } from "../observe/events.ts";
import type { TlsFacts } from "../tls/record.ts";
import type { Backend } from "./connect_backend.ts";
import type { FinalNames } from "./names.ts";
import type { Steps } from "./steps.ts";

/** Why it ended. */
export interface Ending {
  readonly reason: CloseReason;
  readonly failure: Failure | null;
  /** What was thrown, if anything. */
  readonly cause: unknown;
}

/** What was known of it. */
export interface Known {
  readonly steps: Steps;
  readonly names: FinalNames;
  readonly backends: readonly Pick<Backend, "address" | "tls">[];
  readonly bytes: RelayedBytes;
  readonly clientTls: TlsFacts | null;
}

/** The body of `connection.closed`. */
export function closingLine(
  { reason, failure, cause }: Ending,
  known: Known,
): EventBody<"connection.closed"> {
  const { steps, names, backends, bytes, clientTls } = known;
  const { proxy } = steps.who;
  return {
    event: "connection.closed",
    reason,
    detail: failure?.detail ?? null,
    ...(proxy !== null && { proxy }),
    ...names,
    backend: backends.map(({ address }) => address).join(", ") || null,
    bytes_from_client: bytes.from_client,
    bytes_from_backend: bytes.from_backend,
    duration_ms: steps.sinceAccept,
    client_tls: clientTls,
    backend_tls: backends[0]?.tls ?? null,
    ...(reason === "internal_error" && cause instanceof Error ? { stack: cause.stack ?? "" } : {}),
  };
}
