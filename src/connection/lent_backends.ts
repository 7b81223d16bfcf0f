/** Which routes' backends apps have sent the sessions of other routes to: a CancelRequest must find them there. */

/**
 * Remembers by name, so that it outlives a reload. Bounded by the number of routes there are: an app can only choose
 * among them.
 */
export class LentBackends {
  readonly #byRoute = new Map<string, Set<string>>();
  readonly #tell: (route: string, lender: string) => void;

  /** @param tell Hears of each pair once: other isolates have to know it, too. */
  constructor(tell: (route: string, lender: string) => void = () => {}) {
    this.#tell = tell;
  }

  /** Notes that a session of `route` uses the backend of `lender`. */
  note(route: string, lender: string): void {
    const lenders = this.#byRoute.get(route) ?? new Set();
    if (lenders.has(lender)) return;
    this.#byRoute.set(route, lenders.add(lender));
    this.#tell(route, lender);
  }

  /** The other routes whose backends sessions of `route` have used so far. */
  lendersTo(route: string): readonly string[] {
    return [...this.#byRoute.get(route) ?? []];
  }
}
