/**
 * The buffers that TLS sessions are decrypted into: one for all of them, and another while a write goes on from it.
 *
 * A session that is idle holds on to the buffer of its last read, so buffers must come back: a new one for every write
 * would end with one of its own for every session.
 */

/** What the runtime itself reads at most at a time. */
export const BUFFER_BYTES = 64 * 1024;

/** Where decrypted bytes go now. Whoever reads looks again before every read. */
export function currentBuffer(): Uint8Array<ArrayBuffer> {
  return current;
}

/** Leaves the current buffer to whoever still needs what is in it, until {@linkcode giveBack}. */
export function leaveCurrentBuffer(): void {
  left.set(current.buffer, current);
  current = spare.pop() ?? new Uint8Array(BUFFER_BYTES);
}

/** Takes back the buffer that `bytes` stand in, if it is one that was left. Nobody may need them any more. */
export function giveBack(bytes: Uint8Array): void {
  const buffer = left.get(bytes.buffer);
  // Once: a buffer that came back twice would be given to two.
  if (buffer === undefined || !left.delete(bytes.buffer)) return;
  if (spare.length < MAX_SPARE) spare.push(buffer);
}

let current = new Uint8Array(BUFFER_BYTES);

// One view for each, so that buffers can be compared. Weak: of a write that never ends nothing comes back.
const left = new WeakMap<ArrayBufferLike, Uint8Array<ArrayBuffer>>();

const spare: Uint8Array<ArrayBuffer>[] = [];

// 1 MB: more than that many writes at a time are rare, and a new buffer costs little.
const MAX_SPARE = 16;
