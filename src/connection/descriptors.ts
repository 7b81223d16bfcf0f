/** File descriptors: how many connections this process can hold, in all its isolates together. */

import { closeSync, openSync } from "node:fs";

/** Memory that all isolates share for one budget. */
export function sharedDescriptors(isolates: number): SharedArrayBuffer {
  return new SharedArrayBuffer((FIRST_CELL + isolates) * Int32Array.BYTES_PER_ELEMENT);
}

/** Forgets the connections of an isolate that has died, and what it was trying. */
export function forgetConnections(memory: SharedArrayBuffer, isolate: number): void {
  const cells = new Int32Array(memory);
  Atomics.store(cells, FIRST_CELL + isolate, 0);
  Atomics.compareExchange(cells, PROVER, FIRST_CELL + isolate, NOBODY);
  Atomics.notify(cells, PROVER);
}

/** How many connections all isolates hold. */
export function openConnections(memory: SharedArrayBuffer): number {
  return new Int32Array(memory).subarray(FIRST_CELL).reduce((sum, open) => sum + open, 0);
}

/** Options of {@linkcode DescriptorBudget}. */
export interface BudgetOptions {
  /** A file this process may read. */
  readonly file: string;
  /** Descriptors to leave for others, besides the process's own. @default 0 */
  readonly reserve?: number;
  /** Of {@linkcode sharedDescriptors}; by default for this isolate alone. */
  readonly memory?: ArrayBufferLike;
  /** Which of the isolates this is, from 0. @default 0 */
  readonly isolate?: number;
}

/**
 * Says whether one more connection fits into the process's limit of open files, with some to spare.
 *
 * It should not come to the limit: when Deno's accept meets EMFILE it stops for good and reports nothing (uv_compat,
 * `poll_accept`), and the listener is dead even after every client has left; gate.ts then revives it. The limit
 * cannot be read without `--allow-all`, so it is tried out: a file is opened as often as needed and closed again, in one
 * synchronous go, during which nothing else of this thread can open any. Other threads can, and theirs fail if the limit
 * is met: so several isolates begin with a number that was tried before they were there ({@linkcode proveAtStart}); one
 * tries at a time, well before it is needed, and who needs it meanwhile waits for it; and when one has met the limit, or
 * turned somebody away because of it, all renew their listeners ({@linkcode renewals}).
 */
export class DescriptorBudget {
  readonly #file: string;
  readonly #reserve: number;
  readonly #cells: Int32Array;
  readonly #own: number;
  /** When the limit was met; sockets accepted but not served yet may have been in the way, so it is met again later. */
  #metLimitAt = -Infinity;
  #isOut = false;

  constructor({ file, reserve = 0, memory = sharedDescriptors(1), isolate = 0 }: BudgetOptions) {
    this.#file = file;
    this.#cells = new Int32Array(memory);
    this.#own = FIRST_CELL + isolate;
    // Who was here before, and is no more, may have counted after his connections were forgotten.
    this.open = 0;
    const others = this.#cells.length - FIRST_CELL - 1;
    this.#reserve = RESERVE + reserve + others * PER_ISOLATE;
  }

  /** Connections that this isolate holds now. */
  set open(count: number) {
    Atomics.store(this.#cells, this.#own, count);
  }

  /** Grows whenever an isolate that was accepting may have met the limit: its listener may be dead then. */
  get renewals(): number {
    return Atomics.load(this.#cells, RENEWALS);
  }

  /** Lets all isolates renew their listeners. */
  askForRenewal(): void {
    Atomics.add(this.#cells, RENEWALS, 1);
  }

  /** Whether one connection more fits. */
  admits(): boolean {
    const needed = this.#needed;
    while (this.#isToBeTried(needed) && !this.#prove(Math.max(2 * needed, FIRST_GOAL))) {
      if (needed <= this.#proven || !this.#isTriedByOther()) break;
    }
    return needed <= this.#proven;
  }

  /** Tries out how many there are while this is the only isolate. */
  proveAtStart(): void {
    this.#prove(START_GOAL);
  }

  /**
   * Looks whether there are any left at all: somebody may have lowered the limit of the running process (prlimit), or
   * the system may have run out. Once there are some again, the limit is tried out anew and the listeners are renewed.
   */
  look(): void {
    const wasOut = this.#isOut;
    this.#isOut = this.#cannotOpen();
    if (!wasOut || this.#isOut) return;
    this.#prove(Math.max(2 * this.#needed, START_GOAL));
    this.askForRenewal();
  }

  #cannotOpen(): boolean {
    try {
      closeSync(openSync(this.#file, "r"));
      return false;
    } catch (error) {
      return isLimitError(error);
    }
  }

  /** Descriptors that one connection more would take, with all others. */
  get #needed(): number {
    return (this.#openInAll() + 1) * PER_CONNECTION + this.#reserve;
  }

  /** Descriptors known to be there, in use or free. */
  get #proven(): number {
    return Atomics.load(this.#cells, PROVEN);
  }

  /** @returns Whether it was tried; not while another isolate does. */
  #prove(goal: number): boolean {
    if (Atomics.compareExchange(this.#cells, PROVER, NOBODY, this.#own) !== NOBODY) return false;
    // Each connection holds one descriptor at least.
    const open = this.#openInAll();
    const tried: number[] = [];
    try {
      while (open + tried.length < goal) tried.push(openSync(this.#file, "r"));
      Atomics.store(this.#cells, PROVEN, goal);
      Atomics.store(this.#cells, IS_LIMIT, 0);
    } catch (error) {
      this.#metLimitAt = performance.now();
      Atomics.store(this.#cells, PROVEN, isLimitError(error) ? open + tried.length : UNLIMITED);
      Atomics.store(this.#cells, IS_LIMIT, 1);
      this.askForRenewal();
    } finally {
      for (const descriptor of tried) closeSync(descriptor);
      Atomics.store(this.#cells, PROVER, NOBODY);
      Atomics.notify(this.#cells, PROVER);
    }
    return true;
  }

  /**
   * Waits, with the whole thread, until the other isolate that is trying has done so: some milliseconds.
   *
   * @returns Whether it has.
   */
  #isTriedByOther(): boolean {
    const prover = Atomics.load(this.#cells, PROVER);
    return prover === NOBODY || Atomics.wait(this.#cells, PROVER, prover, MAX_WAIT_MS) !== "timed-out";
  }

  /**
   * While another isolate tries nobody else can, so with others it is done before the last one is needed. What all have
   * met is met again now and then: somebody may have raised it (prlimit).
   */
  #isToBeTried(needed: number): boolean {
    const isAlone = this.#cells.length === FIRST_CELL + 1;
    if (!isAlone && Atomics.load(this.#cells, IS_LIMIT) === 0) return 1.5 * needed > this.#proven;
    const interval = isAlone ? PROVE_INTERVAL_MS : PROVE_AMONG_OTHERS_INTERVAL_MS;
    return needed > this.#proven && performance.now() - this.#metLimitAt > interval;
  }

  #openInAll(): number {
    let open = 0;
    for (let i = FIRST_CELL; i < this.#cells.length; i++) open += Atomics.load(this.#cells, i);
    return open;
  }
}

function isLimitError(error: unknown): boolean {
  const { code } = error as { code?: string };
  return code === "EMFILE" || code === "ENFILE";
}

const PROVEN = 0;
/** The cell of the isolate that is trying, or nobody's. */
const PROVER = 1;
/** Whether what is proven is all there is. */
const IS_LIMIT = 2;
const RENEWALS = 3;
const FIRST_CELL = 4;

const NOBODY = 0;

/** The file cannot be opened for another reason: nothing is known. */
const UNLIMITED = 2 ** 31 - 1;

// The client's socket and the backend's.
const PER_CONNECTION = 2;

// Name resolution, certificate files, standard streams and the event loop's own.
const RESERVE = 32;

// What another isolate needs for itself, and has accepted and not looked at yet.
const PER_ISOLATE = 16;

const FIRST_GOAL = 256;

// A hundred sessions, and with what a process opens by itself within 256: each time the kernel doubles the table of a
// process that has threads, whoever has opened the file that no longer fits waits some 10 ms. A start that tried 900 would
// wait for two doublings, one that tried 4,096 for four, and open the rest. More are tried when they are needed.
const START_GOAL = 200;

// Far longer than it takes. Whoever is not served after that comes again; nothing may hold a worker up for good.
const MAX_WAIT_MS = 1_000;

// Short of gate.ts's own interval, so that each of its looks is a fresh one.
const PROVE_INTERVAL_MS = 50;

// Others may want to open something in those milliseconds.
const PROVE_AMONG_OTHERS_INTERVAL_MS = 5_000;
