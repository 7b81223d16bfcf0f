/** A worker's events on their way to the main isolate: in batches, and never more of them than it can take. */

import type { Observer, PgtlsEvent } from "../observe/events.ts";

/**
 * Collects events and sends them in batches, a few ahead of what the other side has said it has taken.
 *
 * When too many wait, connections that are accepted from then on are left out whole, from their first event to their
 * last: whoever follows the events never sees one without the other. How many were left out is told when there is room.
 */
export class EventSender {
  readonly #send: (events: readonly PgtlsEvent[]) => void;
  #waiting: PgtlsEvent[] = [];
  #untaken = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** Connections that are open and left out. */
  readonly #leftOut = new Set<string>();
  #dropped = 0;

  constructor(send: (events: readonly PgtlsEvent[]) => void) {
    this.#send = send;
  }

  /** Takes one event. */
  readonly observe: Observer = (event) => {
    if (this.#isLeftOut(event)) return;
    this.#waiting.push(event);
    if (this.#waiting.length >= BATCH_EVENTS) return this.#sendSome();
    this.#timer ??= setTimeout(() => this.#sendSome(), BATCH_MS);
  };

  /** The other side has taken a batch. */
  taken(): void {
    this.#untaken--;
    this.#reportDropped();
    if (this.#waiting.length >= BATCH_EVENTS) this.#sendSome();
    else if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.#sendSome(), BATCH_MS);
  }

  /** Sends whatever waits, at once: nothing comes after it. */
  flush(): void {
    this.#untaken = 0;
    this.#reportDropped();
    this.#sendSome();
  }

  #sendSome(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#waiting.length === 0 || this.#untaken >= BATCHES_AHEAD) return;
    const batch = this.#waiting;
    this.#waiting = [];
    this.#untaken++;
    this.#send(batch);
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
    if (this.#dropped === 0 || this.#waiting.length >= MAX_WAITING) return;
    this.#waiting.push({ event: "events.dropped", count: this.#dropped });
    this.#dropped = 0;
  }
}

// A line is in the log soon enough for people, and a message is worth its price.
const BATCH_MS = 10;
const BATCH_EVENTS = 256;

// What is under way while the other side looks at a batch.
const BATCHES_AHEAD = 4;

// Some 10 MB with certificates; a main isolate that takes its time for a second loses nothing.
const MAX_WAITING = 8_192;
