/**
 * A worker as a rush of sessions leaves one, for `deno run --v8-flags=--expose-gc`: its sessions rest, and it holds
 * nothing. Says whether what it had is in memory when pgtls has collected.
 */
import { noteRested, onCollected } from "../../src/connection/collect.ts";

const dropped = Array.from({ length: 100 }, () => new WeakRef({ of: "a beginning" }));
const { postMessage } = globalThis as unknown as { postMessage(message: string): void };
onCollected(() => postMessage(`${dropped.filter((each) => each.deref() !== undefined).length} held`));
for (const _session of dropped) noteRested();
