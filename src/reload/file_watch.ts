/**
 * Notices changed files by looking at them. No notification of the operating system is used: inotify says nothing on
 * NFS, nothing of a folder swapped behind a symbolic link (Kubernetes' `..data`), and runs out of watches; a look is a
 * `stat` for each file.
 */

import { stat } from "node:fs/promises";

/** Options of {@linkcode FileWatch}. */
export interface FileWatchOptions {
  /** The files to look at; asked before each look. */
  readonly paths: () => readonly string[];
  /** Called when something may have changed and everything has been quiet since. */
  readonly onChange: () => Promise<void>;
  /** @default 2000 */
  readonly intervalMs?: number;
}

/** Looks at files again and again, and says when they have changed and are at rest. */
export class FileWatch {
  readonly #options: FileWatchOptions;
  #stamps: ReadonlyMap<string, string> = new Map();
  /** Looks since the first change that has not been told of; 0 = none. */
  #unsettled = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  constructor(options: FileWatchOptions) {
    this.#options = options;
  }

  /** Starts looking. What changed between the load and the first look is noticed, too. */
  start(): void {
    const { intervalMs = INTERVAL_MS } = this.#options;
    this.#timer = setTimeout(async () => {
      try {
        await this.look();
      } finally {
        if (!this.#isStopped) this.start();
      }
    }, intervalMs);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /**
   * One look. A change is told at the first look that finds nothing newer, so that files that belong together are
   * written by then; but files that never rest are told of all the same.
   */
  async look(): Promise<void> {
    const stamps = new Map<string, string>();
    for (const path of new Set(this.#options.paths())) stamps.set(path, await stampOf(path));
    const isQuiet = isSame(stamps, this.#stamps);
    this.#stamps = stamps;
    if (isQuiet && this.#unsettled === 0) return;
    this.#unsettled++;
    if (!isQuiet && this.#unsettled < MAX_UNSETTLED_LOOKS) return;
    this.#unsettled = 0;
    await this.#options.onChange();
  }
}

/** Changes whenever the file does, for all a look from outside can tell; links are followed. */
async function stampOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mode, uid, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mode, uid, mtimeNs, ctimeNs].join(" ");
  } catch (error) {
    return (error as { code?: string }).code ?? "unreadable";
  }
}

function isSame(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): boolean {
  return one.size === other.size && [...one].every(([path, stamp]) => other.get(path) === stamp);
}

// A change is in use after two looks, or after four while files do not rest: within the 10 s that are promised.
const INTERVAL_MS = 2_000;
const MAX_UNSETTLED_LOOKS = 4;
