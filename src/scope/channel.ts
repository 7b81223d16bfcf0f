/** The receiving end of an app: events in order, each once, and an end. */

/** What `receive` and `send` reject with once the connection is over. An app that lets it through has not failed. */
export class ConnectionOver extends Error {
  constructor(action: string) {
    super(`Cannot ${action}: the connection is over`);
    this.name = "ConnectionOver";
  }
}

/**
 * A queue of events between the server and one app.
 *
 * After the last event every further call rejects: a loop that does not look at what it receives must end, not spin.
 */
export class Channel<Event> {
  readonly #events: Event[] = [];
  readonly #waiting: PromiseWithResolvers<Event>[] = [];
  #isClosed = false;

  /** Hands over one event. The server sends few, so nothing bounds them here. */
  push(event: Event): void {
    const next = this.#waiting.shift();
    if (next) next.resolve(event);
    else this.#events.push(event);
  }

  /** Says that there will be no more. Who waits already is let go. */
  close(): void {
    this.#isClosed = true;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(new ConnectionOver("receive"));
  }

  /** What the app is given as `receive`. */
  readonly receive = (): Promise<Event> => {
    const event = this.#events.shift();
    if (event !== undefined) return Promise.resolve(event);
    const waiting = Promise.withResolvers<Event>();
    // An app may drop the promise; that is no unhandled rejection of ours.
    waiting.promise.catch(() => {});
    if (this.#isClosed) waiting.reject(new ConnectionOver("receive"));
    else this.#waiting.push(waiting);
    return waiting.promise;
  };
}
