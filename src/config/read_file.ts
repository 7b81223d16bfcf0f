/** Reads the files the configuration names, with an end to how much, and with reasons an operator understands. */

import { Buffer } from "node:buffer";
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";

/** A file as read, with what is known about it. */
export interface FileContent {
  readonly bytes: Uint8Array;
  /** Permission bits, such as 0o640. */
  readonly mode: number;
  /** User ID of the owner. */
  readonly uid: number;
}

/**
 * Reads a regular file.
 *
 * @param options.limitBytes The largest size taken.
 * @throws {Error} With a message such as `Cannot read file "x.pem": it does not exist`.
 */
export function readBoundedFile(path: string, options: { readonly limitBytes: number }): FileContent {
  // Opening a pipe would wait for its writer; O_NONBLOCK does not, and changes nothing for a regular file.
  const descriptor = explained(path, () => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
  try {
    const stats = explained(path, () => fstatSync(descriptor));
    requireRegular(path, stats);
    const bytes = explained(path, () => readUpTo(descriptor, options.limitBytes + 1));
    if (bytes.length > options.limitBytes) {
      throw new Error(
        `Cannot read file "${path}": it is too large, expected at most ${options.limitBytes} bytes`,
      );
    }
    return { bytes, mode: stats.mode & 0o777, uid: stats.uid };
  } finally {
    closeSync(descriptor);
  }
}

function requireRegular(path: string, stats: Stats): void {
  if (stats.isFile()) return;
  const kind = stats.isDirectory() ? "a directory" : "a device, pipe or socket";
  throw new Error(`Cannot read file "${path}": it is ${kind}, expected a file`);
}

function readUpTo(descriptor: number, limitBytes: number): Uint8Array {
  const chunks: Uint8Array[] = [];
  let total = 0;
  while (total < limitBytes) {
    const chunk = new Uint8Array(Math.min(CHUNK_BYTES, limitBytes - total));
    const length = readSync(descriptor, chunk, 0, chunk.length, null);
    if (length === 0) break;
    chunks.push(chunk.subarray(0, length));
    total += length;
  }
  return Buffer.concat(chunks);
}

function explained<Value>(path: string, action: () => Value): Value {
  try {
    return action();
  } catch (cause) {
    throw new Error(`Cannot read file "${path}": ${reasonOf(cause)}`, { cause });
  }
}

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  return REASONS[code] ?? (code === "" ? "the system gave no reason" : `the system says ${code}`);
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EISDIR: "it is a directory, expected a file",
  ELOOP: "its symbolic links lead in a circle",
  ENAMETOOLONG: "its name is too long",
  ENOENT: "it does not exist",
  ENOTDIR: "a part of its path is not a folder",
  ENXIO: "it is a device, pipe or socket, expected a file",
  EPERM: "permission denied",
  // Deno's own permission model, when it runs without --allow-read.
  NotCapable: "Deno was started without permission to read it",
};

const CHUNK_BYTES = 65_536;
