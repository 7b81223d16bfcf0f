/**
 * A count in a word of shared memory, together with whose it is: of several isolates that sit in one place after another.
 *
 * An isolate that was ended runs on for a moment, and gives back what it holds. By then it has been given back for it: so
 * each isolate of a place has a number, its life, and a count changes only for the life it belongs to.
 */

/** Adds to the count of `life`; false, and nothing has changed, if the cell belongs to another one. */
export function addToCell(
  cells: Int32Array,
  index: number,
  { life, by }: { life: number; by: number },
): boolean {
  for (;;) {
    const before = Atomics.load(cells, index);
    if (lifeIn(before) !== life) return false;
    if (Atomics.compareExchange(cells, index, before, before + by) === before) return true;
  }
}

/** Gives the cell to the next life. @returns The count that the last one has left. */
export function passOnCell(cells: Int32Array, index: number): number {
  for (;;) {
    const before = Atomics.load(cells, index);
    const after = cellOf((lifeIn(before) + 1) % LIVES, 0);
    if (Atomics.compareExchange(cells, index, before, after) === before) return countIn(before);
  }
}

export function lifeIn(cell: number): number {
  return cell >>> COUNT_BITS;
}

export function countIn(cell: number): number {
  return cell & COUNT_MASK;
}

export function cellOf(life: number, count: number): number {
  return (life << COUNT_BITS) | count;
}

/** A million connections of one isolate; 4,096 lives. */
const COUNT_BITS = 20;
const COUNT_MASK = 2 ** COUNT_BITS - 1;
const LIVES = 2 ** (32 - COUNT_BITS);
