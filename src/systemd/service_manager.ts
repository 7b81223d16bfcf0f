/**
 * Keeps a service manager informed: systemd's Type=notify and notify-reload, its watchdog, and whoever else speaks
 * the same protocol. Without NOTIFY_SOCKET all of this does nothing.
 */

import { NotifySocket } from "./notify_socket.ts";

/** Options of {@linkcode ServiceManager}. */
export interface ServiceManagerOptions {
  /** Reads an environment variable. @default the environment, where pgtls may read it */
  readonly env?: (name: string) => string | undefined;
  /** Is told, in a sentence, what does not work. */
  readonly report: (problem: string) => void;
  /** Asked before each sign of life to the watchdog: without a yes within its time systemd restarts pgtls. */
  readonly isAlive?: () => boolean | Promise<boolean>;
}

/** One for the process. */
export class ServiceManager implements AsyncDisposable {
  readonly #socket: NotifySocket | null;
  readonly #watchdogMs: number | null;
  readonly #isAlive: () => boolean | Promise<boolean>;
  #watchdog: ReturnType<typeof setInterval> | null = null;

  constructor(options: ServiceManagerOptions) {
    const { env = readEnvironment, report, isAlive = () => true } = options;
    this.#socket = NotifySocket.open(env("NOTIFY_SOCKET"), report);
    this.#watchdogMs = this.#socket && watchdogInterval(env, report);
    this.#isAlive = isAlive;
  }

  /** Says that pgtls serves, at first and again after each reload, and starts the watchdog. */
  ready(status: string): void {
    this.#socket?.send({ READY: 1, STATUS: status });
    this.#startWatchdog();
  }

  /** Says that a reload begins; {@linkcode ready} must follow, whatever came of it. */
  reloading(): void {
    this.#socket?.send({ RELOADING: 1, MONOTONIC_USEC: monotonicMicroseconds(), STATUS: "Reloading" });
  }

  /** Says that a drain begins, which takes `timeoutMs` at most: systemd waits 90 s otherwise, whatever it takes. */
  stopping(status: string, timeoutMs: number): void {
    const EXTEND_TIMEOUT_USEC = (timeoutMs + STOP_RESERVE_MS) * 1_000;
    this.#socket?.send({ STOPPING: 1, STATUS: status, EXTEND_TIMEOUT_USEC });
  }

  /** Stops the watchdog and resolves when everything said has been taken, or a moment later. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#watchdog !== null) clearInterval(this.#watchdog);
    if (this.#socket === null) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<void>((resolve) => timer = setTimeout(resolve, CLOSE_MS));
    await Promise.race([this.#socket.flush(), patience]);
    clearTimeout(timer);
    this.#socket.close();
  }

  /** A sign of life, unless the process is not well, or nobody takes them. */
  async #beat(): Promise<void> {
    const isAlive = await Promise.resolve().then(this.#isAlive).catch(() => false);
    if (isAlive && !this.#socket!.isBusy) this.#socket!.send({ WATCHDOG: 1 });
  }

  #startWatchdog(): void {
    if (this.#watchdogMs === null || this.#watchdog !== null) return;
    this.#watchdog = setInterval(() => this.#beat(), this.#watchdogMs);
    this.#beat();
  }
}

/** Without the permission there is no service manager: whoever starts pgtls for one gives it (tools/permissions.ts). */
function readEnvironment(name: string): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) : undefined;
}

/** Half of the watchdog's time, in milliseconds; `null` where there is no watchdog, or it is for another process. */
function watchdogInterval(
  env: (name: string) => string | undefined,
  report: (problem: string) => void,
): number | null {
  const text = env("WATCHDOG_USEC");
  const pid = env("WATCHDOG_PID");
  if (text === undefined || (pid !== undefined && pid !== String(Deno.pid))) return null;
  const microseconds = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (microseconds > 0) return Math.max(1, Math.floor(microseconds / 2_000));
  report(`Cannot use WATCHDOG_USEC "${text}": expected a number of microseconds above 0`);
  return null;
}

/**
 * A time of CLOCK_MONOTONIC that is not before now, in microseconds.
 *
 * systemd takes a RELOADING for the answer to its SIGHUP only if this is not before the signal (service.c). Deno has
 * no clock that other processes share, but the machine's uptime, in whole seconds rounded up: up to a second late.
 */
function monotonicMicroseconds(): number {
  return Deno.osUptime() * 1_000_000;
}

// After drain_timeout: last words to clients, and the way to the exit.
const STOP_RESERVE_MS = 10_000;

// A manager that takes nothing must not keep the process from ending.
const CLOSE_MS = 500;
