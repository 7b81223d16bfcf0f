/** A worker's place in the pool: one isolate takes it, and another when that one is no more. */

import { formatProblem, type Problem } from "../errors.ts";
import { type ConnectionRecord, Connections } from "../observe/connections.ts";
import type { ConnectionClosed, Observer, RelayedBytes } from "../observe/events.ts";
import { EventTally, sharedTally } from "./event_tally.ts";
import type { Isolate } from "./isolate.ts";
import { Member, type MemberFailure, type MemberOptions } from "./member.ts";
import type { Lent, Place, RoutePart } from "./messages.ts";

/** Options of {@linkcode Seat}. */
export interface SeatOptions extends Pick<MemberOptions, "pingIntervalMs"> {
  readonly place: Place;
  /** An isolate that nobody has taken yet. */
  readonly newIsolate: () => Promise<Isolate>;
  readonly observe: Observer;
  /** What is to be served now. */
  readonly parts: () => readonly RoutePart[];
  /** Everything that workers have told for one another to know. */
  readonly lent: () => readonly Lent[];
  readonly onLent: (lent: Lent) => void;
  /** Told when the isolate is no more; its connections have been reported. */
  readonly onFailed: () => void;
  /** Told when it cannot be replaced: it is caught in something, and keeps its share of new clients waiting. */
  readonly onHung: (detail: string) => void;
}

/** One of the pool's workers, whichever isolate it is. */
export class Seat {
  readonly #options: SeatOptions;
  #member: Member | null = null;
  /** What it has told of and not closed. */
  #connections = new Connections({ closed: 0 });
  #tally = new EventTally(sharedTally());
  /** Revisions that it has loaded. */
  #known: ReadonlySet<number> = new Set();
  #startedAt = 0;
  #failures = 0;
  #restart: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  constructor(options: SeatOptions) {
    this.#options = options;
  }

  /** Whether somebody is there who serves. */
  get isTaken(): boolean {
    return this.#member !== null;
  }

  /**
   * Starts an isolate; it serves nothing yet.
   *
   * @throws {Error} If it cannot be started; it has been reported as failed then.
   */
  async open(): Promise<void> {
    const { place, newIsolate, observe, lent, onLent, pingIntervalMs } = this.#options;
    const isolate = await newIsolate();
    if (this.#isOver) {
      isolate.terminate();
      throw new Error("Nobody is to take this seat any more");
    }
    this.#known = new Set();
    this.#startedAt = performance.now();
    const connections = this.#connections = new Connections({ closed: 0 });
    const memory = sharedTally();
    const tally = this.#tally = new EventTally(memory);
    const member = this.#member = new Member({
      isolate,
      pingIntervalMs,
      onLent,
      onEvents: ({ events, begun }) => {
        for (const event of events) {
          connections.observe(event);
          observe(event);
        }
        tally.take(begun);
      },
      onFailed: (failure) => this.#replace(failure),
    });
    await member.ask("start", { ...place, tally: memory });
    for (const each of lent()) member.tell(each);
  }

  /** Lets it serve other routes; a seat that is empty will find them when it is taken again. */
  async apply(parts: readonly RoutePart[]): Promise<readonly Problem[]> {
    if (this.#member === null) return [];
    return await this.#give(this.#member, parts).catch(() => []);
  }

  /** Tells it what another worker has told. */
  tell(lent: Lent): void {
    this.#member?.tell(lent);
  }

  /** Bytes of its sessions; none if it does not say in time. */
  async liveBytes(): Promise<ReadonlyMap<string, RelayedBytes>> {
    const nothing = new Map<string, RelayedBytes>();
    const answer = this.#member?.ask("liveBytes", null).catch(() => nothing);
    return await within(LIVE_BYTES_MS, answer) ?? nothing;
  }

  /** See {@linkcode Serving.drain}; from now on nobody takes the seat any more. */
  async drain(timeoutMs: number): Promise<number> {
    this.#isOver = true;
    clearTimeout(this.#restart);
    const member = this.#member;
    if (member === null) return 0;
    const { size } = this.#connections.open;
    const cut = await within(timeoutMs + DRAIN_GRACE_MS, member.ask("drain", timeoutMs).catch(() => size));
    if (cut === undefined) member.fail("It did not end in time", true);
    member.terminate();
    this.#member = null;
    return cut ?? size;
  }

  /** What it has loaded already is not sent again. */
  async #give(member: Member, parts: readonly RoutePart[]): Promise<readonly Problem[]> {
    const asked = parts.map((part) => this.#known.has(part.revision) ? { ...part, files: new Map() } : part);
    this.#known = new Set(parts.map(({ revision }) => revision));
    try {
      return (await member.ask("apply", asked)).problems;
    } catch (error) {
      // It serves something else than the others, or nothing.
      member.fail(error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  #replace({ detail, isHung }: MemberFailure): void {
    const { place: { index }, observe, onFailed, onHung } = this.#options;
    this.#member = null;
    onFailed();
    const lost = [...this.#connections.open.values()];
    observe({ event: "worker.failed", worker: index, detail, connections: lost.length });
    for (const record of lost) observe(closingLine(record, detail));
    const { untold } = this.#tally;
    if (untold > 0) observe({ event: "events.dropped", count: untold });
    if (this.#isOver) return;
    if (isHung) return onHung(detail);
    if (performance.now() - this.#startedAt > STEADY_MS) this.#failures = 0;
    const delay = Math.min(FIRST_DELAY_MS * 2 ** this.#failures++, MAX_DELAY_MS);
    this.#restart = setTimeout(() => {
      this.open().then(() => this.#give(this.#member!, this.#options.parts())).then(
        (problems) => this.#isOver || this.#settle(problems),
        // Reported already, and on its way to the next attempt.
        () => {},
      );
    }, delay);
  }

  /** The others serve all routes: one that cannot has not taken the place. */
  #settle(problems: readonly Problem[]): void {
    const { place: { index }, observe } = this.#options;
    if (problems.length === 0) return observe({ event: "worker.started", worker: index });
    this.#member?.fail(problems.map((problem) => formatProblem(problem).trim()).join("; "));
  }
}

/** The line that the worker cannot write any more. How many bytes its sessions carried nobody knows. */
function closingLine(record: ConnectionRecord, detail: string): ConnectionClosed {
  const { connection, route, client, user, database, backend, client_tls, backend_tls, opened_at } = record;
  return {
    event: "connection.closed",
    connection,
    route,
    client,
    reason: "worker_failed",
    detail: `The worker that served it failed, bytes are not known: ${detail}`,
    user,
    database,
    backend,
    bytes_from_client: 0,
    bytes_from_backend: 0,
    duration_ms: Date.now() - opened_at,
    client_tls,
    backend_tls,
  };
}

/** What is promised, or `undefined` after `ms`. */
async function within<Value>(ms: number, promise: Promise<Value> | undefined): Promise<Value | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => timer = setTimeout(() => resolve(undefined), ms));
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// A worker that fails at once must not keep the machine busy with starting it.
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 30_000;
const STEADY_MS = 60_000;

// A scrape does not wait for a worker that is caught in something.
const LIVE_BYTES_MS = 1_000;

// For last words and closing lines, after the timeout of the drain itself.
const DRAIN_GRACE_MS = 10_000;
