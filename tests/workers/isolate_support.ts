/** Workers of a few lines of JavaScript. */

/** A module that does as told, and then, as every worker, takes its lock and says hello. */
export function isolateModule(source: string): string {
  const hello = `await new Promise((resolve) => {
    navigator.locks.request(name, () => {
      resolve();
      return new Promise(() => {});
    });
  });
  postMessage({ kind: "hello" });`;
  return `data:text/javascript,${encodeURIComponent(`${source};\n${hello}`)}`;
}
