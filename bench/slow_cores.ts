/**
 * A process on slow cores, for machines that have no core to spare: the kernel gives each of its threads at most a share
 * of one core, and all of them together that share times the number of cores.
 *
 * Control groups of version 1, because groups of threads are made there without ceremony; root only.
 *
 * @see {@link https://docs.kernel.org/scheduler/sched-bwc.html | CFS Bandwidth Control}
 */

/** How many cores, and how slow. */
export interface Cores {
  readonly count: number;
  /** Of a core of this machine, 0 to 1. */
  readonly speed: number;
}

/** The groups of one process. Dispose of them when it has ended. */
export class SlowCores implements AsyncDisposable {
  readonly #pid: number;
  readonly #dir: string;
  readonly #quotaUs: number;

  private constructor(pid: number, dir: string, quotaUs: number) {
    this.#pid = pid;
    this.#dir = dir;
    this.#quotaUs = quotaUs;
  }

  /** @throws {Error} If this machine has no such groups, or this user may not make one. */
  static async hold(pid: number, { count, speed }: Cores): Promise<SlowCores> {
    const dir = await makeGroup();
    const cores = new SlowCores(pid, dir, Math.round(PERIOD_US * speed));
    try {
      await limit(dir, cores.#quotaUs * count);
      await cores.confine();
      return cores;
    } catch (error) {
      await cores.#release();
      throw error;
    }
  }

  /** Gives every thread a group of its own. A new one is in the group of the thread that started it until then. */
  async confine(): Promise<void> {
    for (const { name: thread } of Deno.readDirSync(`/proc/${this.#pid}/task`)) {
      const group = `${this.#dir}/${thread}`;
      if (exists(group)) continue;
      await Deno.mkdir(group);
      await limit(group, this.#quotaUs);
      // It may have ended by now.
      await Deno.writeTextFile(`${group}/tasks`, thread).catch(() => {});
    }
  }

  /** The process has ended: a group that still holds a thread cannot be removed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#release();
  }

  async #release(): Promise<void> {
    for (const { isDirectory, name } of Deno.readDirSync(this.#dir)) {
      if (isDirectory) await removeGroup(`${this.#dir}/${name}`);
    }
    await removeGroup(this.#dir);
  }
}

async function makeGroup(): Promise<string> {
  try {
    return await Deno.makeTempDir({ dir: CPU_GROUPS, prefix: "pgtls-bench-" });
  } catch (cause) {
    const message = `Cannot slow down cores: no control group could be made in ${CPU_GROUPS}, ` +
      "expected root and the cpu controller of control groups version 1";
    throw new Error(message, { cause });
  }
}

/** What is there for it, it gets before anybody else: or a busy machine would decide how slow its cores are. */
async function limit(group: string, quotaUs: number): Promise<void> {
  await Deno.writeTextFile(`${group}/cpu.shares`, String(MAX_SHARES));
  await Deno.writeTextFile(`${group}/cpu.cfs_period_us`, String(PERIOD_US));
  await Deno.writeTextFile(`${group}/cpu.cfs_quota_us`, String(quotaUs));
}

/** What still runs in it goes back to the group above: the last of an ended process, or one that could not be confined. */
async function removeGroup(group: string): Promise<void> {
  for (
    const thread of (await Deno.readTextFile(`${group}/tasks`)).split("\n").filter((line) => line !== "")
  ) {
    await Deno.writeTextFile(`${CPU_GROUPS}/tasks`, thread).catch(() => {});
  }
  await Deno.remove(group);
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

const CPU_GROUPS = "/sys/fs/cgroup/cpu";

// https://docs.kernel.org/scheduler/sched-design-CFS.html: 256 times the 1,024 that everybody has.
const MAX_SHARES = 262_144;

// Short: a thread that has used up its share waits 20 ms, not the 100 of the default.
const PERIOD_US = 20_000;
