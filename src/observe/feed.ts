/** The events as they happen, for whoever listens: JSON, one message each, as the JSON log has them. */

import type { LogLevel } from "../config/types.ts";
import type { PgtlsEvent } from "./events.ts";
import { fieldsOf } from "./fields.ts";
import { isAtLeast, levelOf } from "./levels.ts";
import { renderJson } from "./log_format.ts";

/** Takes one message. Must neither throw nor block. */
export type Listener = (message: string) => void;

/** Hands events on. Nothing is rendered while nobody wants it, and once however many do. */
export class Feed {
  readonly #listeners = new Map<Listener, LogLevel>();

  /** Sends `listener` every event from now on that is at least as loud as `lowest`; returns the way to stop it. */
  listen(listener: Listener, lowest: LogLevel): () => void {
    this.#listeners.set(listener, lowest);
    return () => this.#listeners.delete(listener);
  }

  observe(event: PgtlsEvent): void {
    if (this.#listeners.size === 0) return;
    const level = levelOf(event);
    let message: string | null = null;
    for (const [listener, lowest] of this.#listeners) {
      if (!isAtLeast(level, lowest)) continue;
      message ??= renderJson({
        time: new Date().toISOString(),
        level,
        event: event.event,
        ...fieldsOf(event),
      });
      listener(message);
    }
  }
}
