/** A worker that dies when mortal_main.ts says so. */
import { workerData } from "node:worker_threads";
import { serveAsWorker } from "../../src/workers/worker.ts";

serveAsWorker();
new BroadcastChannel("mortal").onmessage = ({ data }) => {
  const [worker, how] = String(data).split(" ");
  if (workerData.index !== Number(worker)) return;
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
