/// <reference lib="dom" />
/**
 * Keeps the page's state true: events over the WebSocket, snapshots by HTTP for what events do not tell.
 *
 * The page must cost the data path nothing. It asks only while somebody looks at it, leaves the more time between two
 * snapshots the longer one takes, and closes the feed when it has been hidden for a while. Without the WebSocket it
 * goes on by snapshots alone.
 */

import { escapeInvisible } from "../../printable.ts";
import type { CertificateJson, ConnectionsJson, EventJson, ReadinessJson } from "./shapes.ts";
import { type Action, type Endpoint, LIMITS } from "./state.ts";

/** Starts it; every change goes to `dispatch`. */
export function startLive(dispatch: (action: Action) => void): Live {
  const live = new Live(dispatch);
  live.wake();
  document.addEventListener("visibilitychange", () => document.hidden ? live.doze() : live.wake());
  return live;
}

/** How long to wait before attempt number `attempt` (from 1): doubling from 1 s to 30 s, up to a quarter shorter. */
export function backOffMs(attempt: number, random = Math.random()): number {
  const longest = Math.min(30_000, 1000 * 2 ** (attempt - 1));
  return longest * (1 - random / 4);
}

/** How long to wait after a snapshot that took `tookMs`, so that the page never keeps pgtls busy. */
export function pauseMs(tookMs: number): number {
  return Math.min(60_000, Math.max(2_000, 20 * tookMs));
}

/** The page's connection to pgtls. */
export class Live {
  readonly #dispatch: (action: Action) => void;
  #socket: WebSocket | null = null;
  #attempts = 0;
  #lostSince: number | null = null;
  #retry: Timer;
  #sleep: Timer;
  readonly #polls = new Map<Endpoint, Timer>();
  /** Events since a snapshot was asked for; `null` while none is on its way. */
  #sinceAsked: EventJson[] | null = null;
  /** Whether a snapshot and the events since tell everything but the bytes. */
  #isTold = false;

  constructor(dispatch: (action: Action) => void) {
    this.#dispatch = dispatch;
  }

  /** Somebody looks at the page. */
  wake(): void {
    clearTimeout(this.#sleep);
    if (this.#socket === null) this.connect();
    for (const endpoint of ENDPOINTS) void this.#poll(endpoint);
  }

  /** Nobody looks: no more snapshots, and after a minute no more events. */
  doze(): void {
    for (const timer of this.#polls.values()) clearTimeout(timer);
    clearTimeout(this.#sleep);
    this.#sleep = setTimeout(() => {
      clearTimeout(this.#retry);
      this.#drop();
      this.#dispatch({ kind: "link", link: { kind: "asleep" } });
    }, SLEEP_AFTER_MS);
  }

  /** Connects to the feed now, whatever the back-off says. */
  connect(): void {
    clearTimeout(this.#retry);
    this.#drop();
    if (this.#lostSince === null) this.#dispatch({ kind: "link", link: { kind: "connecting" } });
    this.#isTold = false;
    const socket = new WebSocket(feedAddress());
    this.#socket = socket;
    socket.onopen = () => {
      this.#attempts = 0;
      this.#lostSince = null;
      this.#dispatch({ kind: "link", link: { kind: "live" } });
      // Only now: what happened before is in the snapshot, what happens after it comes by the feed.
      for (const endpoint of ENDPOINTS) void this.#poll(endpoint);
    };
    socket.onmessage = ({ data }) => this.#take(parse<EventJson>(data));
    socket.onclose = () => this.#lost();
  }

  #take(event: EventJson): void {
    this.#dispatch({ kind: "event", event });
    this.#sinceAsked?.push(event);
    // Whatever was loaded may have changed readiness and certificates.
    if (CHANGES_CONFIG.test(event.event)) {
      this.#pollIn("readyz", 250);
      this.#pollIn("certificates", 250);
    }
  }

  #lost(): void {
    this.#socket = null;
    this.#isTold = false;
    this.#attempts++;
    this.#lostSince ??= Date.now();
    const waitMs = backOffMs(this.#attempts);
    this.#retry = setTimeout(() => this.connect(), waitMs);
    const retryAt = Date.now() + waitMs;
    this.#dispatch({ kind: "link", link: { kind: "lost", since: this.#lostSince, retryAt } });
  }

  #drop(): void {
    if (this.#socket === null) return;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  async #poll(endpoint: Endpoint): Promise<void> {
    clearTimeout(this.#polls.get(endpoint));
    this.#polls.delete(endpoint);
    const started = performance.now();
    try {
      await this.#load(endpoint);
    } catch (error) {
      this.#dispatch({
        kind: "failed",
        endpoint,
        detail: String(error instanceof Error ? error.message : error),
      });
      // A host that went to sleep closes no WebSocket; that nothing answers says the same.
      if (error instanceof TypeError || isTimeout(error)) this.#socket?.close();
    }
    const tookMs = performance.now() - started;
    this.#pollIn(endpoint, Math.max(INTERVALS_MS[endpoint], pauseMs(tookMs)));
  }

  #pollIn(endpoint: Endpoint, ms: number): void {
    clearTimeout(this.#polls.get(endpoint));
    if (document.hidden) return;
    this.#polls.set(endpoint, setTimeout(() => void this.#poll(endpoint), ms));
  }

  async #load(endpoint: Endpoint): Promise<void> {
    switch (endpoint) {
      case "connections": {
        const since: EventJson[] = this.#sinceAsked = [];
        const query = this.#isTold ? BYTES_ONLY : EVERYTHING;
        try {
          const snapshot = await getJson<ConnectionsJson>(`connections?${query}`);
          // A later request has taken over: its snapshot is newer.
          if (this.#sinceAsked !== since) return;
          this.#isTold = this.#socket?.readyState === WebSocket.OPEN;
          return this.#dispatch({ kind: "connections", at: Date.now(), snapshot, since });
        } finally {
          if (this.#sinceAsked === since) this.#sinceAsked = null;
        }
      }
      case "certificates": {
        const { certificates } = await getJson<{ certificates: CertificateJson[] }>("certificates");
        return this.#dispatch({ kind: "certificates", certificates });
      }
      case "readyz": {
        // 503 is an answer, too: "not ready, because".
        const readiness = await getJson<ReadinessJson>("readyz", [503]);
        return this.#dispatch({ kind: "readiness", readiness });
      }
    }
  }
}

type Timer = ReturnType<typeof setTimeout> | undefined;

/** Relative, so that the page also works under a path of somebody's reverse proxy. */
function feedAddress(): string {
  const address = new URL("events", document.baseURI);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  return address.href;
}

async function getJson<T>(path: string, alsoOk: readonly number[] = []): Promise<T> {
  const response = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  if (!response.ok && !alsoOk.includes(response.status)) {
    throw new Error(`pgtls answered ${response.status} ${response.statusText}`.trimEnd());
  }
  return parse<T>(await response.text());
}

/**
 * Reads JSON; what is not seen but obeyed (bidirectional overrides, zero-width characters) is escaped in every text of
 * it, because users, databases and certificates are named by clients.
 */
function parse<T>(text: string): T {
  return JSON.parse(text, (_key, value) => typeof value === "string" ? escapeInvisible(value) : value);
}

function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}

const ENDPOINTS: readonly Endpoint[] = ["connections", "certificates", "readyz"];
const INTERVALS_MS: Readonly<Record<Endpoint, number>> = {
  connections: 2_000,
  certificates: 60_000,
  readyz: 15_000,
};
const CHANGES_CONFIG = /^(config|tls|server|reload|certificate)\./;
// Names and fingerprints cost pgtls most of an answer, and do not change: they are asked for once.
const EVERYTHING = `open=${LIMITS.open}&closed=${LIMITS.closed}&tls=summary`;
const BYTES_ONLY = `open=${LIMITS.open}&closed=0&tls=none`;
const ANSWER_WITHIN_MS = 15_000;
const SLEEP_AFTER_MS = 60_000;
