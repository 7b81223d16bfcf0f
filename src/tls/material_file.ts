/** PEM files: each taken apart once, whatever the number of routes that name it; and what is said about them. */

import type { FileContent } from "../config/read_file.ts";
import type { FileReader } from "../config/snapshot.ts";
import type { Problem } from "../errors.ts";
import { parsePem, type PemBlock, PemError } from "./path/pem.ts";

/** What is said about one key of one route. */
export interface Report {
  /** The material cannot be used. */
  problem(message: string): void;
  /** It can, but somebody should know. */
  warning(message: string, kind?: "expiring"): void;
}

/** A PEM file, taken apart. */
export interface PemFile extends FileContent {
  /** What it was made of; whatever is made of it is remembered by that. */
  readonly content: FileContent;
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly PemBlock[];
}

/**
 * Takes PEM files apart, and remembers the failures for as long as the content is in use, the results for as long as
 * somebody uses them: text and blocks of a large CA bundle are a burden for everybody once its certificates are read.
 */
export class PemFiles {
  readonly #known = new WeakMap<FileContent, WeakRef<PemFile> | MaterialError>();

  /**
   * Reads a PEM file with at least one block.
   *
   * @returns `null` after reporting why not.
   */
  read(path: string, options: { readonly files: FileReader; readonly report: Report }): PemFile | null {
    const file = this.#read(path, options.files);
    if (!(file instanceof MaterialError)) return file;
    options.report.problem(file.message);
    return null;
  }

  #read(path: string, files: FileReader): PemFile | MaterialError {
    const content = attempt(() => files.read(path));
    if (content instanceof MaterialError) return content;
    const known = this.#known.get(content);
    const before = known instanceof WeakRef ? known.deref() : known;
    if (before !== undefined) return before;
    const file = takeApart(path, content);
    this.#known.set(content, file instanceof MaterialError ? file : new WeakRef(file));
    return file;
  }
}

/** A report that puts its messages under `path` in two lists. */
export function reportAt(
  place: { readonly path: string; readonly route?: string },
  lists: { readonly problems: Problem[]; readonly warnings: Problem[] },
): Report {
  return {
    problem: (message) => lists.problems.push({ ...place, message }),
    warning: (message, kind) => lists.warnings.push({ ...place, message, ...(kind && { kind }) }),
  };
}

/** What a file holds instead of what it should: `a CERTIFICATE and 2 more blocks`, never their content. */
export function describeBlocks(blocks: readonly PemBlock[]): string {
  return [...new Set(blocks.map(({ label }) => label))].slice(0, 4).join(", ");
}

/** The PEM form of a block, with lines of 64 columns (RFC 7468 section 2). */
export function renderPem({ label, bytes }: PemBlock): string {
  const lines = bytes.toBase64().match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ""].join("\n");
}

class MaterialError extends Error {
  override readonly name = "MaterialError";
}

function attempt<Value>(action: () => Value): Value | MaterialError {
  try {
    return action();
  } catch (cause) {
    return new MaterialError((cause as Error).message, { cause });
  }
}

function takeApart(path: string, file: FileContent): PemFile | MaterialError {
  try {
    const text = new TextDecoder().decode(file.bytes);
    const blocks = parsePem(text);
    if (blocks.length > 0) return { ...file, content: file, path, text, blocks };
    return new MaterialError(`Cannot use file "${path}": ${withoutPem(file.bytes)}`);
  } catch (cause) {
    if (!(cause instanceof PemError)) throw cause;
    return new MaterialError(`Cannot use file "${path}": ${cause.message}, expected PEM`, { cause });
  }
}

function withoutPem(bytes: Uint8Array): string {
  if (bytes.length === 0) return "it is empty, expected PEM";
  // Every certificate, key and CRL in DER is a SEQUENCE with a length of two octets or more.
  if (bytes[0] === 0x30 && ((bytes[1] ?? 0) & 0x80) !== 0) {
    return "it holds DER, expected PEM (openssl converts it with -inform DER)";
  }
  return "it holds no PEM block, expected PEM";
}
