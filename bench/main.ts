/**
 * `deno task bench`: pgtls side by side with a direct connection and with its peers, on this machine.
 * Markdown goes to standard output, progress to standard error.
 */

import { Command, InvalidArgumentError } from "commander";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { connections } from "./connections.ts";
import { copy } from "./copy.ts";
import { cores } from "./cores.ts";
import { workers } from "./workers.ts";
import { type Figure, type FigureResult, runFigure } from "./figure.ts";
import { goalsToMarkdown } from "./goals.ts";
import { latency } from "./latency.ts";
import { logins } from "./logins.ts";
import { memory } from "./memory.ts";
import { observation } from "./observation.ts";
import { killAll } from "./process.ts";
import { findPrograms, missingPeers } from "./programs.ts";
import { queries } from "./queries.ts";
import { reload, reloadOfBundles } from "./reload.ts";
import { resumed } from "./resumed.ts";
import { type Circumstances, toJson, toMarkdown } from "./report.ts";
import { type Effort, openStage } from "./stage.ts";
import { startTime } from "./start_time.ts";

interface Options {
  readonly rounds?: number;
  readonly quick: boolean;
  readonly json?: string;
  readonly docs: boolean;
  readonly only: readonly string[];
  readonly also: readonly string[];
}

const FIGURES: readonly Figure[] = [
  ...queries,
  latency,
  copy,
  connections,
  resumed,
  logins,
  memory,
  startTime,
  workers,
  cores,
  reload,
  reloadOfBundles,
  observation,
];

const FULL: Effort = { querySeconds: 5, copyRows: 100_000, connections: 300, idleConnections: 1_000 };
const QUICK: Effort = { querySeconds: 2, copyRows: 20_000, connections: 100, idleConnections: 500 };

const DOCS_START = "<!-- figures: deno task bench --docs -->";
const DOCS_END = "<!-- end of figures -->";

let isInterrupted = false;

if (import.meta.main) Deno.exit(await main());

/**
 * On Ctrl-C every process ends, also one that is started afterwards: whatever is being waited for fails, and all that
 * has been started or written is given back on the way out, as after any other error.
 */
async function main(): Promise<number> {
  const options = parseArguments();
  const interrupt = () => {
    isInterrupted = true;
    killAll();
  };
  Deno.addSignalListener("SIGINT", interrupt);
  Deno.addSignalListener("SIGTERM", interrupt);
  try {
    return await run(options);
  } catch (error) {
    if (isInterrupted) return 130;
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

/** @returns The exit code: 1 if a figure could not be measured; the others are all the same. */
async function run(options: Options): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const rounds = options.rounds ?? (options.quick ? 2 : 5);
  const figures = FIGURES.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
  const circumstances = await describeCircumstances(rounds);
  console.log(heading(circumstances));
  const stage = await openStage(stack, {
    effort: options.quick ? QUICK : FULL,
    also: options.also.map((path) => resolve(path)),
  });
  const results: FigureResult[] = [];
  let exitCode = 0;
  for (const figure of figures) {
    try {
      const result = await runFigure(figure, stage, { rounds, note: console.error });
      console.log(toMarkdown(result));
      results.push(result);
    } catch (error) {
      if (isInterrupted) throw error;
      exitCode = 1;
      console.error(`Could not measure "${figure.name}": ${error instanceof Error ? error.message : error}`);
    }
    // After each, so that a run that is cut short leaves what it has found.
    if (options.json !== undefined) await Deno.writeTextFile(options.json, toJson(circumstances, results));
  }
  console.log(goalsToMarkdown(results));
  if (options.docs) {
    await updateDocs([heading(circumstances), ...results.map(toMarkdown), goalsToMarkdown(results)]);
  }
  return exitCode;
}

/** Puts the tables where docs/performance.md shows them. */
async function updateDocs(sections: readonly string[]): Promise<void> {
  const path = fileURLToPath(new URL("../docs/performance.md", import.meta.url));
  const text = await Deno.readTextFile(path);
  const [start, end] = [text.indexOf(DOCS_START), text.indexOf(DOCS_END)];
  if (start < 0 || end < start) {
    throw new Error(`Cannot update "${path}": "${DOCS_START}" and "${DOCS_END}" are missing`);
  }
  const tables = sections.join("\n").replaceAll(/^#+ /gm, "### ").replace("### pgtls benchmark\n\n", "");
  await Deno.writeTextFile(path, `${text.slice(0, start)}${DOCS_START}\n\n${tables}\n${text.slice(end)}`);
  await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", path] }).output();
}

function parseArguments(): Options {
  const names = FIGURES.map(({ name }) => name);
  const collect = (value: string, all: readonly string[]) => [...all, value];
  return new Command("deno task bench")
    .description("Measures pgtls next to a direct connection and its peers")
    .option("--rounds <n>", "measurements of each contestant (default: 5, or 2 with --quick)", parseRounds)
    .option("--quick", "shorter measurements, for a first look", false)
    .option("--json <file>", "also write every measurement to a file")
    .option("--docs", "also put the tables into docs/performance.md", false)
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
  const missing = missingPeers(findPrograms());
  return {
    date: new Date().toISOString().slice(0, 16),
    rounds,
    cpus: navigator.hardwareConcurrency,
    deno: Deno.version.deno,
    tree: await gitState(),
    missing,
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

function heading({ date, rounds, cpus, deno, tree, missing }: Circumstances): string {
  const facts = [`${date} UTC`, `tree: ${tree}`, `Deno ${deno}`, `${cpus} CPUs`];
  if (missing.length > 0) {
    facts.push(`left out, as Debian packages that are not installed: ${missing.join(", ")}`);
  }
  return `# pgtls benchmark\n\n${facts.join(" · ")}\n\nMedian of ${rounds} rounds (lowest–highest).\n`;
}
