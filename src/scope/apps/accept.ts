/** The end of a row of middlewares: whoever has come so far gets in. */

import type { App } from "../types.ts";

/** Accepts every session. By itself it lets in everybody whom the listener and the rules let in. */
export const accept: App = async (scope, receive, send) => {
  if (scope.type !== "postgresql") throw new TypeError(`Cannot serve a scope of type "${scope.type}"`);
  await receive();
  await send({ type: "postgresql.accept" });
};
