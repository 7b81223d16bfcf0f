/** The programs that stand between the user and this process: `npx`, `sh -c`, `deno task`. */

/**
 * Resolves when a launcher of this process has ended while the process itself lives.
 *
 * npm does not pass a SIGTERM on to what it started. Who ends `npx … task demo` means the demo, which would otherwise
 * go on with its servers and keys. Programs above the launchers do not count: a terminal may close on `nohup`.
 * Without `/proc` (not Linux) it never resolves.
 *
 * @param signal Ends the watch.
 */
export function launcherGone(signal: AbortSignal): Promise<void> {
  const launchers = findLaunchers(Deno.ppid);
  return new Promise((resolve) => {
    if (launchers.length === 0) return;
    const timer = setInterval(() => {
      if (launchers.every(({ pid, started }) => readStat(pid)?.started === started)) return;
      clearInterval(timer);
      resolve();
    }, POLL_MS);
    // What waits for a signal must not be what keeps the process alive.
    Deno.unrefTimer(timer);
    signal.addEventListener("abort", () => clearInterval(timer));
  });
}

interface Launcher {
  readonly pid: number;
  /** Clock ticks since boot: a number that is used again belongs to another process. */
  readonly started: string;
}

/** From the parent upwards, as long as they are launchers. */
function findLaunchers(parent: number): Launcher[] {
  const launchers: Launcher[] = [];
  for (let pid = parent; pid > 1;) {
    const stat = readStat(pid);
    if (stat === null || !LAUNCHER.test(readCommandLine(pid))) break;
    launchers.push({ pid, started: stat.started });
    pid = stat.parent;
  }
  return launchers;
}

/** Fields of `/proc/PID/stat`, which come after a name in parentheses that may hold anything; proc(5). */
function readStat(pid: number): { readonly parent: number; readonly started: string } | null {
  try {
    const text = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    // Dead, but not yet collected by its own parent.
    if (fields[0] === "Z") return null;
    return { parent: Number(fields[1]), started: fields[19] ?? "" };
  } catch {
    return null;
  }
}

function readCommandLine(pid: number): string {
  try {
    return Deno.readTextFileSync(`/proc/${pid}/cmdline`).replaceAll("\0", " ");
  } catch {
    return "";
  }
}

/** npm writes its process title over its command line. */
const LAUNCHER = /\bdeno\b.* task |\bnpx\b|\bnpm (exec|x|run)\b|^(\S*\/)?(sh|dash|bash) -c /;

/** As long as somebody waits for a prompt after a kill. */
const POLL_MS = 250;
