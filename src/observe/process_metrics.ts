/** What Prometheus expects to know of any process. prom-client's own collectors read Node.js's internals. */

import process from "node:process";
import { Counter, Gauge, type Registry } from "prom-client";

/** Adds the `process_` metrics that this process is allowed to read about itself. */
export function addProcessMetrics(registers: Registry[]): void {
  new Counter({
    name: "process_cpu_seconds_total",
    help: "CPU time of the process, user and system, in seconds.",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1_000_000);
    },
  });
  gauge("process_resident_memory_bytes", "Resident memory of the process.", () => Deno.memoryUsage().rss);
  gauge(
    "process_heap_bytes",
    "JavaScript heap in use in the main isolate.",
    () => Deno.memoryUsage().heapUsed,
  );
  gauge("process_start_time_seconds", "When the process started, in seconds since 1970.", () => {
    return performance.timeOrigin / 1000;
  });
  // /proc is readable with --allow-all alone.
  if (openFiles() !== null) {
    gauge("process_open_fds", "File descriptors in use.", openFiles);
    gauge("process_max_fds", "Limit of open file descriptors.", maximumFiles);
  }

  function gauge(name: string, help: string, read: () => number | null): void {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const value = read();
        if (value !== null) this.set(value);
      },
    });
  }
}

function openFiles(): number | null {
  try {
    return [...Deno.readDirSync("/proc/self/fd")].length;
  } catch {
    return null;
  }
}

function maximumFiles(): number | null {
  try {
    const [, limit] = /open files\s+(\d+|unlimited)/.exec(Deno.readTextFileSync("/proc/self/limits")) ?? [];
    return limit === undefined ? null : limit === "unlimited" ? Infinity : Number(limit);
  } catch {
    return null;
  }
}
