/** A program for the flags of `deno task start`: prints what its worker says, and ends. */

const worker = new Worker(new URL("./collecting_worker.ts", import.meta.url), { type: "module" });
worker.onmessage = ({ data }: MessageEvent<string>) => {
  console.log(data);
  worker.terminate();
};
