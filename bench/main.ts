/**
 * `deno task bench`: pgtls side by side with a direct connection and with stunnel, on this machine.
 * Markdown goes to standard output, progress to standard error.
 */

import { Command, InvalidArgumentError } from "commander";
import { resolve } from "node:path";
import { connections } from "./connections.ts";
import { copy } from "./copy.ts";
import { type Figure, type FigureResult, runFigure } from "./figure.ts";
import { memory } from "./memory.ts";
import { killAll } from "./process.ts";
import { findPrograms } from "./programs.ts";
import { observation } from "./observation.ts";
import { queries } from "./queries.ts";
import { type Circumstances, toJson, toMarkdown } from "./report.ts";
import { type Effort, openStage } from "./stage.ts";
import { startTime } from "./start_time.ts";

interface Options {
  readonly rounds?: number;
  readonly quick: boolean;
  readonly json?: string;
  readonly only: readonly string[];
  readonly also: readonly string[];
}

const FIGURES: readonly Figure[] = [queries, observation, copy, connections, memory, startTime];

const FULL: Effort = { querySeconds: 6, copyRows: 100_000, connections: 300, idleConnections: 500 };
const QUICK: Effort = { querySeconds: 2, copyRows: 20_000, connections: 100, idleConnections: 500 };

if (import.meta.main) Deno.exit(await main());

/**
 * On Ctrl-C every process ends, also one that is started afterwards: whatever is being waited for fails, and all that
 * has been started or written is given back on the way out, as after any other error.
 */
async function main(): Promise<number> {
  const options = parseArguments();
  let isInterrupted = false;
  const interrupt = () => {
    isInterrupted = true;
    killAll();
  };
  Deno.addSignalListener("SIGINT", interrupt);
  Deno.addSignalListener("SIGTERM", interrupt);
  try {
    await run(options);
    return 0;
  } catch (error) {
    if (isInterrupted) return 130;
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

async function run(options: Options): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const rounds = options.rounds ?? (options.quick ? 2 : 3);
  const figures = FIGURES.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
  const circumstances = await describeCircumstances(rounds);
  console.log(heading(circumstances));
  const stage = await openStage(stack, {
    effort: options.quick ? QUICK : FULL,
    also: options.also.map((path) => resolve(path)),
  });
  const results: FigureResult[] = [];
  for (const figure of figures) {
    const result = await runFigure(figure, stage, { rounds, note: console.error });
    console.log(toMarkdown(result));
    results.push(result);
  }
  if (options.json !== undefined) await Deno.writeTextFile(options.json, toJson(circumstances, results));
}

function parseArguments(): Options {
  const names = FIGURES.map(({ name }) => name);
  const collect = (value: string, all: readonly string[]) => [...all, value];
  return new Command("deno task bench")
    .description("Measures pgtls next to a direct connection and stunnel")
    .option("--rounds <n>", "measurements of each contestant (default: 3, or 2 with --quick)", parseRounds)
    .option("--quick", "shorter measurements, for a first look", false)
    .option("--json <file>", "also write every measurement to a file")
    .option("--only <figure>", `one figure, may be repeated: ${names.join(", ")}`, collect, [])
    .option("--also <main.ts>", "pgtls of another tree as one more contestant, may be repeated", collect, [])
    .parse(Deno.args, { from: "user" })
    .opts<Options>();
}

function parseRounds(text: string): number {
  const rounds = Number(text);
  if (Number.isInteger(rounds) && rounds >= 1 && rounds <= 100) return rounds;
  throw new InvalidArgumentError("Expected a number from 1 to 100");
}

async function describeCircumstances(rounds: number): Promise<Circumstances> {
  const { stunnel } = findPrograms();
  return {
    date: new Date().toISOString().slice(0, 16),
    rounds,
    cpus: navigator.hardwareConcurrency,
    deno: Deno.version.deno,
    tree: await gitState(),
    stunnel: stunnel === null ? 'not installed (Debian package "stunnel4")' : stunnel,
  };
}

/** The commit, and whether the files are those of it. */
async function gitState(): Promise<string> {
  const git = async (...args: string[]) => {
    const { success, stdout } = await new Deno.Command("git", { args, stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim() : null;
  };
  const commit = await git("rev-parse", "--short", "HEAD").catch(() => null);
  if (commit === null) return "no commit";
  return await git("status", "--porcelain") === "" ? commit : `${commit} with changes`;
}

function heading({ date, rounds, cpus, deno, tree, stunnel }: Circumstances): string {
  const facts = [`${date} UTC`, `tree: ${tree}`, `Deno ${deno}`, `${cpus} CPUs`, `stunnel: ${stunnel}`];
  return `# pgtls benchmark\n\n${facts.join(" · ")}\n\nMedian of ${rounds} rounds (lowest–highest).\n`;
}
