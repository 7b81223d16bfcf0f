/** Who gives way when the admin server is full: a probe must get in past those who only occupy it. */

/** A connection as far as that goes. */
export interface Occupant {
  /** Without the port. */
  readonly address: string;
  /** `performance.now()` of its accept, in milliseconds. */
  readonly since: number;
  /** Whether it has been let in and has asked: then it stays. */
  readonly isServed: boolean;
}

/**
 * Chooses who has to leave so that somebody from `address` can come in: of the address that holds most, the one that has
 * been there longest without asking. Whoever comes from that address itself has to leave him a second.
 *
 * @param occupants In the order in which they came.
 * @param now `performance.now()`, in milliseconds.
 * @returns `null` if it is the newcomer who has to stay outside.
 */
export function whoGivesWay<T extends Occupant>(
  occupants: readonly T[],
  { address, now }: { readonly address: string; readonly now: number },
): T | null {
  const idle = occupants.filter(({ isServed }) => !isServed);
  const held = Map.groupBy(idle, (occupant) => occupant.address);
  const most = Math.max(...Array.from(held.values(), ({ length }) => length));
  const oldest = idle.find((occupant) => held.get(occupant.address)!.length === most);
  if (oldest === undefined) return null;
  return oldest.address !== address || now - oldest.since >= GRACE_MS ? oldest : null;
}

// A handshake and a request, a few round trips of 200 ms.
const GRACE_MS = 1_000;
