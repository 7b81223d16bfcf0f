/** A worker that dies when mortal_main.ts says so. */
import type { ToWorker } from "../../src/workers/messages.ts";
import { serveAsWorker } from "../../src/workers/worker.ts";

serveAsWorker();
let index = -1;
addEventListener("message", (event) => {
  const { data } = event as MessageEvent<ToWorker>;
  if (data.kind === "request" && data.name === "start") index = data.asked.index;
});
new BroadcastChannel("mortal").onmessage = ({ data }) => {
  const [worker, how] = String(data).split(" ");
  if (index !== Number(worker)) return;
  switch (how) {
    // As an app might.
    case "exit":
      return Deno.exit(1);
    case "loop":
      for (;;);
    // What is not caught is reported and no more.
    case "throw":
      return void setTimeout(() => {
        throw new Error("thrown on demand");
      });
  }
};
