/** The files of one load: each read once, whoever asks for it, and then the same for everybody. */

import { Buffer } from "node:buffer";
import { type FileContent, readBoundedFile } from "./read_file.ts";

/** What was found at a path: the content, or why it could not be read. */
export type FileFound = FileContent | { readonly error: string };

/** What was found at several paths. Plain data: it can be handed to another isolate. */
export type FilesFound = ReadonlyMap<string, FileFound>;

interface ReadOptions {
  readonly limitBytes: number;
}

/** Gives the content of files. */
export interface FileReader {
  /**
   * The content of a regular file.
   *
   * @param options.limitBytes The largest size taken. @default 10 MiB
   * @throws {Error} With a message such as `Cannot read file "x.pem": it does not exist`.
   */
  read(path: string, options?: ReadOptions): FileContent;
}

/**
 * Reads each file from the disk when it is first asked for, and remembers it.
 *
 * A file that has not changed since `before` is the same object as there, so that whatever was made of it (parsed
 * PEM, trust stores) can be found again.
 */
export class Snapshot implements FileReader {
  readonly #before: FilesFound;
  readonly #found: Map<string, FileFound>;

  /** @param found What somebody else has found: it is not read again. */
  constructor(before: FilesFound = new Map(), found: FilesFound = new Map()) {
    this.#before = before;
    this.#found = new Map([...found].map(([path, file]) => [path, keep(file, before.get(path))]));
  }

  read(path: string, options?: ReadOptions): FileContent {
    return contentOf(this.#find(path, options));
  }

  /** What is found at each of `paths`. */
  pick(paths: readonly string[]): FilesFound {
    return new Map(paths.map((path) => [path, this.#find(path)]));
  }

  /** Everything that was found so far. */
  get found(): FilesFound {
    return this.#found;
  }

  #find(path: string, options: ReadOptions = { limitBytes: LIMIT_BYTES }): FileFound {
    const found = this.#found.get(path) ?? keep(attempt(path, options), this.#before.get(path));
    this.#found.set(path, found);
    return found;
  }
}

/** The paths at which two readings differ. */
export function changedPaths(before: FilesFound, found: FilesFound): string[] {
  const paths = new Set([...before.keys(), ...found.keys()]);
  return [...paths].filter((path) => {
    const [one, other] = [before.get(path), found.get(path)];
    return one !== other && (one === undefined || other === undefined || !isSame(one, other));
  });
}

function keep(found: FileFound, before: FileFound | undefined): FileFound {
  return before !== undefined && isSame(found, before) ? before : found;
}

/** The mode and the owner count: whether a key is open to others depends on them. */
function isSame(one: FileFound, other: FileFound): boolean {
  if ("error" in one || "error" in other) {
    return "error" in one && "error" in other && one.error === other.error;
  }
  return one.mode === other.mode && one.uid === other.uid && Buffer.compare(one.bytes, other.bytes) === 0;
}

function contentOf(found: FileFound): FileContent {
  if ("error" in found) throw new Error(found.error);
  return found;
}

function attempt(path: string, options: ReadOptions): FileFound {
  try {
    return readBoundedFile(path, options);
  } catch (error) {
    return { error: (error as Error).message };
  }
}

/** All public CAs together are 0.2 MB, the largest CRLs in common use some 10 MB. */
const LIMIT_BYTES = 10 * 1024 * 1024;
