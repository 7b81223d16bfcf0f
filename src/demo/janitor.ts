/** Cleans up a folder when this process cannot, because it was killed. */

/** A process that waits for the end of this one. */
export interface Janitor {
  /** Ends it without any cleaning: the folder has been removed. */
  dismiss(): Promise<void>;
}

/**
 * Starts a process that removes `dir` when this process ends without {@linkcode Janitor.dismiss}, SIGKILL included.
 *
 * Servers that run in `dir/clusters/*` are ended first. It notices by its stdin, which ends when this process does.
 * It is detached, so a Ctrl-C in the terminal does not reach it; and it does not keep this process alive.
 */
export function startJanitor(dir: string): Janitor {
  const child = new Deno.Command("sh", {
    args: ["-c", SCRIPT, "sh", dir],
    cwd: "/",
    stdin: "piped",
    stdout: "null",
    stderr: "null",
    detached: true,
  }).spawn();
  child.unref();
  return {
    async dismiss() {
      const input = child.stdin.getWriter();
      await input.write(new TextEncoder().encode("removed\n"));
      await input.close();
      child.ref();
      await child.status;
    },
  };
}

/**
 * SIGQUIT ends a server at once; its data are removed anyway. The end is seen by the PID file that the server removes,
 * not by the process: in a container without an init the dead process stays in the table for good.
 */
const SCRIPT = `
read -r word && exit 0
for file in "$1"/clusters/*/postmaster.pid; do
  [ -f "$file" ] && read -r pid < "$file" && kill -QUIT "$pid"
done
for file in "$1"/clusters/*/postmaster.pid; do
  tries=0
  while [ -f "$file" ] && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
done
rm -rf -- "$1"
`;
