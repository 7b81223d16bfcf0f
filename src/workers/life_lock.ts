/**
 * A lock that goes with an isolate: it takes the lock when it starts and never lets it go, so whoever gets it knows that
 * the isolate is no more, in whichever way it ended.
 *
 * @see {@link https://w3c.github.io/web-locks/ | Web Locks}
 */

/** Takes the lock for as long as this isolate lives. Resolves when it has it. */
export function holdForLife(lock: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const hold = () => {
      resolve();
      return new Promise<never>(() => {});
    };
    locks.request(lock, {}, hold).catch(reject);
  });
}

/**
 * Resolves when the isolate that holds the lock is no more.
 *
 * @throws The reason of `signal`, when that comes first.
 */
export async function endOfHolder(lock: string, signal: AbortSignal): Promise<void> {
  await locks.request(lock, { signal }, () => {});
}

/** As far as it is used here: the types of Deno 2.9 do not know what it has. */
interface LockManager {
  request(
    name: string,
    options: { readonly signal?: AbortSignal },
    hold: () => Promise<never> | void,
  ): Promise<void>;
}

const { locks } = navigator as unknown as { readonly locks: LockManager };
