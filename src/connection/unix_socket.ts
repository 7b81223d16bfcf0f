/** What a unix-socket listener has to know of the file it binds. */

import { lstatSync, unlinkSync } from "node:fs";
import { connect } from "node:net";

/**
 * Removes the socket file of a process that is gone: a bound path stays when a process is killed, and cannot be bound
 * again. A file that is no socket is left alone, and so is a socket somebody listens on.
 *
 * @returns Whether it was removed.
 */
export async function removeStaleSocket(path: string): Promise<boolean> {
  try {
    if (!lstatSync(path).isSocket() || await isListening(path)) return false;
    unlinkSync(path);
    return true;
  } catch {
    // Gone in the meantime, or not ours to remove: binding says what is the matter.
    return false;
  }
}

/** Only a refusal proves that nobody listens; a full queue, or a missing permission, does not. */
function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("error", (error: Error & { code?: string }) => resolve(error.code !== "ECONNREFUSED"));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}
