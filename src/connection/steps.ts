/** The steps of one connection: its state, and its events, each with the ID, route and client as known by then. */

import type { ConnectionFields, EventBody, Observer, PgtlsEvent } from "../observe/events.ts";
import type { Accepted } from "./listen.ts";
import type { Route } from "./route.ts";
import { advance, type State, type Step } from "./state.ts";

/** Says what is reached, and decides nothing. */
export class Steps {
  readonly #observe: Observer;
  #who: Who;
  #state: State = "accepted";
  #count = 0;
  /** `performance.now()` of the latest step. */
  #steppedAt: number;
  /** `null` until one of several is chosen. */
  route: Route | null;

  constructor(accepted: Accepted, observe: Observer) {
    this.#observe = observe;
    this.#who = whoOf(accepted);
    this.#steppedAt = accepted.acceptedAt;
    this.route = accepted.endpoint.onlyRoute;
  }

  /** Who the client is from here on. */
  announced(accepted: Accepted): void {
    this.#who = whoOf(accepted);
  }

  get who(): Who {
    return this.#who;
  }

  get state(): State {
    return this.#state;
  }

  /** How many have been taken. */
  get count(): number {
    return this.#count;
  }

  /** Milliseconds since the latest one. */
  get sinceLast(): number {
    return milliseconds(performance.now() - this.#steppedAt);
  }

  /** Milliseconds since the connection was accepted. */
  get sinceAccept(): number {
    return milliseconds(performance.now() - this.#who.acceptedAt);
  }

  /** Moves on, and says so. @throws {Error} If the state does not allow it. */
  take(body: EventBody<Step>): void {
    this.#state = advance(this.#state, body.event);
    this.#count++;
    this.#steppedAt = performance.now();
    this.tell(body);
  }

  /** Says what is no step. */
  tell(body: EventBody): void {
    this.#observe({ ...this.fields, ...body } as PgtlsEvent);
  }

  /** What every event of the connection has. */
  get fields(): ConnectionFields {
    const { id, client } = this.#who;
    return { connection: id, route: this.route?.config.name ?? null, client };
  }
}

/** What of an accepted connection is worth remembering: not its socket. */
export type Who = Pick<Accepted, "id" | "client" | "proxy" | "acceptedAt">;

function whoOf({ id, client, proxy, acceptedAt }: Accepted): Who {
  return { id, client, proxy, acceptedAt };
}

/** Rounded to microseconds. */
function milliseconds(duration: number): number {
  return Math.round(duration * 1000) / 1000;
}
