/// <reference lib="dom" />
/** Where the page begins. */

import { render } from "preact";
import { App } from "./app.tsx";
import { startLive } from "./live.ts";
import { Store } from "./store.ts";

const store = new Store();
const live = startLive((action) => store.dispatch(action));
const root = document.getElementById("page")!;
root.replaceChildren();
render(<App store={store} reconnect={() => live.connect()} />, root);
