/**
 * Runs an app for one session, and holds it to the contract: exactly one decision, in time, of the right shape.
 *
 * Whatever else an app does, the session is refused; nothing it does or leaves out can hold a connection open or let
 * one in. What cannot be stopped is an app that computes without end: it runs in the same thread as every connection.
 */

import { StageError } from "../errors.ts";
import { Channel, ConnectionOver } from "./channel.ts";
import { type Decision, isDecision, readDecision } from "./decision.ts";
import type { App, PostgresqlDisconnect, PostgresqlReceive, PostgresqlScope, Send } from "./types.ts";

/** What the caller wants to hear about an app. */
export interface AppHooks {
  /** It failed in a way that changes nothing any more. For the log; may come after the connection has closed. */
  readonly failed: (detail: string) => void;
  /** It decided again after it had accepted: the session must end, in whatever stage it is. */
  readonly revoked: (error: StageError) => void;
  /** How long it may go on after the connection has ended, in milliseconds. Later it is reported, not more. */
  readonly graceMs: number;
}

/** An app at work on one session. */
export class AppRun {
  readonly #channel = new Channel<PostgresqlReceive>();
  readonly #decision = Promise.withResolvers<Decision>();
  readonly #failed: AppHooks["failed"];
  readonly #graceMs: number;
  /** Let go when the connection has ended: an app that never returns must not keep it in memory. */
  #revoked: AppHooks["revoked"] | null;
  #state: "deciding" | "accepted" | "rejected" | "failed" = "deciding";
  #isOver = false;
  #hasReturned = false;
  #lateTimer: ReturnType<typeof setTimeout> | undefined;

  /** Calls the app at once. */
  constructor(app: App, scope: PostgresqlScope, hooks: AppHooks) {
    this.#failed = hooks.failed;
    this.#revoked = hooks.revoked;
    this.#graceMs = hooks.graceMs;
    // Nobody may be waiting yet, or any more.
    this.#decision.promise.catch(() => {});
    this.#channel.push(CONNECT);
    this.#run(app, scope);
  }

  /**
   * Waits for the decision.
   *
   * @throws {StageError} `app_failed`, or the signal's reason: then no later decision counts.
   */
  decided(signal: AbortSignal): Promise<Decision> {
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#state = "failed";
        reject(signal.reason);
      };
      if (signal.aborted) return onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      const settle = () => signal.removeEventListener("abort", onAbort);
      this.#decision.promise.finally(settle).then(resolve, reject);
    });
  }

  /** Tells the app how the connection ended, and that nothing it says counts from here on. */
  disconnect(event: PostgresqlDisconnect): void {
    this.#isOver = true;
    this.#revoked = null;
    // Also after it has returned: something of it may still be waiting for the end.
    this.#channel.push(event);
    this.#channel.close();
    if (this.#hasReturned) return;
    const late = `App has not returned ${this.#graceMs} ms after postgresql.disconnect`;
    const timer = setTimeout(this.#failed, this.#graceMs, late);
    // It must not keep the process alive either.
    Deno.unrefTimer(timer);
    this.#lateTimer = timer;
  }

  async #run(app: App, scope: PostgresqlScope): Promise<void> {
    try {
      await app(scope, this.#channel.receive as () => Promise<PostgresqlReceive>, this.#send);
      if (this.#state === "deciding" && !this.#isOver) this.#fail("App returned without a decision");
    } catch (error) {
      this.#threw(error);
    } finally {
      this.#hasReturned = true;
      clearTimeout(this.#lateTimer);
    }
  }

  readonly #send: Send = (event) => {
    const sent = new Promise<void>((resolve) => resolve(this.#take(event)));
    // Whether or not the app waits for it: what is wrong is dealt with here.
    sent.catch(() => {});
    return sent;
  };

  #take(event: unknown): void {
    if (this.#isOver) throw new ConnectionOver("send");
    if (this.#state === "failed") throw new ConnectionOver("send");
    if (this.#state !== "deciding") throw this.#takeLate(event);
    let decision: Decision;
    try {
      decision = readDecision(event);
    } catch (error) {
      throw this.#fail(`App sent what cannot be used: ${describeError(error)}`);
    }
    this.#state = decision.kind;
    this.#decision.resolve(decision);
  }

  /** After a decision: another one ends the session, because nobody can say which of the two was meant. */
  #takeLate(event: unknown): Error {
    const isSecond = isDecision(event);
    const detail = isSecond ? "App decided twice" : "App sent an event after its decision";
    if (isSecond && this.#state === "accepted" && this.#revoked !== null) {
      this.#state = "failed";
      const error = new StageError("app_failed", detail);
      this.#revoked(error);
      return error;
    }
    this.#failed(detail);
    return new Error(`Cannot send: ${detail}`);
  }

  #threw(error: unknown): void {
    const detail = `App threw ${describeError(error)}`;
    if (this.#state === "deciding" && !this.#isOver) this.#fail(detail);
    else if (this.#state !== "failed" && !(error instanceof ConnectionOver)) this.#failed(detail);
  }

  #fail(detail: string): StageError {
    const error = new StageError("app_failed", detail);
    this.#state = "failed";
    this.#decision.reject(error);
    return error;
  }
}

/** Name and message of whatever was thrown, cut. Never throws itself. */
export function describeError(error: unknown): string {
  try {
    const text = error instanceof Error
      ? `${error.name}: ${error.message}`
      : `a ${typeof error}: ${String(error)}`;
    return text.slice(0, MAX_TEXT_LENGTH);
  } catch {
    return "something that cannot be described";
  }
}

const CONNECT = Object.freeze({ type: "postgresql.connect" } as const);

const MAX_TEXT_LENGTH = 500;
