/** A worker's events on their way to the main isolate: in batches, and never more of them than it can take. */

import type { Observer, PgtlsEvent } from "../observe/events.ts";
import { EventTally } from "./event_tally.ts";

/** Events in the order in which they came about. */
export interface EventBatch {
  readonly events: readonly PgtlsEvent[];
  /** How many connections they tell of for the first time, as accepted or as left out. */
  readonly begun: number;
}

/**
 * Collects events and sends them in batches, a few ahead of what the other side has taken.
 *
 * When too many wait, connections that are accepted from then on are left out whole, from their first event to their
 * last: whoever follows the events never sees one without the other. How many were left out is told when there is room.
 */
export class EventSender {
  readonly #send: (batch: EventBatch) => void;
  #tally: EventTally | null = null;
  #waiting: PgtlsEvent[] = [];
  #begun = 0;
  #sentAt = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** Connections that are open and left out. */
  readonly #leftOut = new Set<string>();
  #dropped = 0;

  constructor(send: (batch: EventBatch) => void) {
    this.#send = send;
  }

  /** From now on somebody listens, and notes in `tally` what has been taken. */
  start(tally: EventTally): void {
    this.#tally = tally;
    tally.begin(this.#begun);
    if (this.#waiting.length > 0) this.#sendLater();
  }

  /** Takes one event. */
  readonly observe: Observer = (event) => {
    if (event.event === "connection.accepted") this.#begin();
    if (this.#isLeftOut(event)) return;
    this.#waiting.push(event);
    if (this.#waiting.length === BATCH_EVENTS) this.#sendSome();
    else this.#sendLater();
  };

  /** Sends whatever waits, at once: nothing comes after it. */
  flush(): void {
    this.#sendAll();
  }

  /** The first event after a while does not wait for long; where one follows the other, many go together. */
  #sendLater(): void {
    if (this.#timer !== null || this.#tally === null) return;
    const wait = Math.max(BATCH_MS, this.#sentAt + STREAM_MS - performance.now());
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#sendSome();
    }, wait);
  }

  #sendSome(): void {
    if (this.#tally === null) return;
    if (this.#tally.underWay < BATCHES_AHEAD) this.#sendAll();
    else this.#sendLater();
  }

  #sendAll(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#reportDropped();
    if (this.#waiting.length === 0) return;
    const batch = { events: this.#waiting, begun: this.#begun };
    this.#waiting = [];
    this.#begun = 0;
    this.#sentAt = performance.now();
    this.#tally?.send();
    this.#send(batch);
  }

  #begin(): void {
    this.#begun++;
    this.#tally?.begin(1);
  }

  #isLeftOut(event: PgtlsEvent): boolean {
    const isFull = this.#waiting.length >= MAX_WAITING;
    if (!("connection" in event)) return isFull && this.#drop();
    const { connection } = event;
    if (event.event === "connection.accepted") {
      if (!isFull) return false;
      this.#leftOut.add(connection);
      return this.#drop();
    }
    if (!this.#leftOut.has(connection)) return false;
    if (event.event === "connection.closed") this.#leftOut.delete(connection);
    return true;
  }

  #drop(): true {
    this.#dropped++;
    return true;
  }

  #reportDropped(): void {
    if (this.#dropped === 0) return;
    this.#waiting.push({ event: "events.dropped", count: this.#dropped });
    this.#dropped = 0;
  }
}

// A line is in the log soon enough for people.
const BATCH_MS = 10;

// A message wakes the main isolate, which costs it more than all that a short connection has to tell (docs/performance.md).
const STREAM_MS = 50;

// Some 100 short connections: as long as the main isolate takes for them nobody waits who would notice.
const BATCH_EVENTS = 1_024;

// What is under way while the other side looks at a batch.
const BATCHES_AHEAD = 4;

// Some 10 MB with certificates; a main isolate that takes its time for a second loses nothing.
const MAX_WAITING = 8_192;
