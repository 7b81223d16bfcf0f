/** Bytes relayed, as counters that move during a session and agree with the closing lines after it. */

import type { ConnectionClosed, RelayedBytes } from "./events.ts";
import type { ConnectionRecord } from "./connections.ts";

/** Where the bytes are counted: `route` and direction are labels, `bytes` is never negative. */
export type CountBytes = (route: string, direction: keyof RelayedBytes, bytes: number) => void;

/**
 * Counts what has come since the last look.
 *
 * The data path counts nothing for this: its sockets know how much they have read, and are asked now and then. What a
 * look has counted is not counted again by the closing line, so the counters never go back.
 */
export class RelayBytes {
  readonly #count: CountBytes;
  /** What has been counted of open connections. */
  readonly #counted = new Map<string, RelayedBytes>();

  constructor(count: CountBytes) {
    this.#count = count;
  }

  /** Counts what `live` has more than before; of connections that are not in `open` the closing line has been counted. */
  look(live: ReadonlyMap<string, RelayedBytes>, open: ReadonlyMap<string, ConnectionRecord>): void {
    for (const [connection, now] of live) {
      const route = open.get(connection)?.route;
      if (route === undefined || route === null) continue;
      this.#add(connection, route, now);
    }
  }

  /** Counts the rest. */
  closed({ connection, route, bytes_from_client, bytes_from_backend }: ConnectionClosed): void {
    this.#add(connection, route ?? "", { from_client: bytes_from_client, from_backend: bytes_from_backend });
    this.#counted.delete(connection);
  }

  #add(connection: string, route: string, now: RelayedBytes): void {
    const before = this.#counted.get(connection) ?? NOTHING;
    const from_client = Math.max(before.from_client, now.from_client);
    const from_backend = Math.max(before.from_backend, now.from_backend);
    this.#count(route, "from_client", from_client - before.from_client);
    this.#count(route, "from_backend", from_backend - before.from_backend);
    this.#counted.set(connection, { from_client, from_backend });
  }
}

const NOTHING: RelayedBytes = { from_client: 0, from_backend: 0 };
