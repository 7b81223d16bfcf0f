/**
 * A program for `deno run --v8-flags=--expose-gc`: five connections whose apps accept and never return. Prints how many
 * of the connections and their sockets are in memory when they have ended: `5 stuck, 0 held`.
 */
import { LentBackends } from "../../src/connection/lent_backends.ts";
import { Progress } from "../../src/connection/progress.ts";
import type { App } from "../../src/scope/types.ts";
import { scopeOf } from "../scope/scope_support.ts";

const stuck: unknown[] = [];
const held: WeakRef<object>[] = [];

const app: App = async (_scope, receive, send) => {
  await receive();
  await send({ type: "postgresql.accept" });
  await new Promise((resolve) => stuck.push(resolve));
};

for (let i = 0; i < 5; i++) await connect();
const { gc } = globalThis as unknown as { gc: () => void };
const countHeld = () => held.filter((each) => each.deref() !== undefined).length;
// Only a guard where they are held.
for (let i = 0; i < 100 && countHeld() > 0; i++) {
  await new Promise((resolve) => setTimeout(resolve, 100));
  gc();
}
console.log(`${stuck.length} stuck, ${countHeld()} held`);

async function connect(): Promise<void> {
  const socket = { destroy() {}, bytesRead: 0 };
  const accepted = { id: "c-1", client: "127.0.0.1:1", acceptedAt: 0, endpoint: { onlyRoute: null }, socket };
  const progress = new Progress(accepted as never, {
    observe: () => {},
    connections: new Set(),
    findRoute: () => undefined,
    lentBackends: new LentBackends(),
  });
  held.push(new WeakRef(progress), new WeakRef(socket));
  await progress.startApp(app, scopeOf(), 10).decided(new AbortController().signal);
  await progress.close("client_closed");
}
