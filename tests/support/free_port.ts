/** For what must be named before it is bound, and for what nobody may answer. */
import { freePort } from "../../src/demo/ports.ts";

/** An address of 127.0.0.1 that nobody listens on. */
export function freeAddress(): string {
  return `127.0.0.1:${freePort()}`;
}
