/**
 * The command line: one command a file, exit codes 0 ok, 1 failed, 2 bad configuration or usage.
 * A command's file is loaded when it is called, so that `run` does not wait for what only `demo` needs.
 */

import { Command, CommanderError, Option } from "commander";
import { VERSION } from "../version.ts";
import { printable } from "../printable.ts";
import { EXIT, reportError } from "./report.ts";

/** Runs the command in `args` (without the program's own name) and returns the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = buildProgram((code) => exitCode = code);
  const unknown = unknownCommand(program, args);
  if (unknown !== null) {
    console.error(unknown);
    return EXIT.usage;
  }
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportError(error);
    // Commander has printed the message already; its own code 0 is for --help and --version.
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  }
}

function buildProgram(setExitCode: (code: number) => void): Command {
  const program = new Command("pgtls");
  program
    .description("A TLS proxy for PostgreSQL.")
    .version(`pgtls ${VERSION}`, "-v, --version")
    .helpOption("-h, --help")
    .exitOverride()
    .showHelpAfterError("(pgtls --help lists commands and options)");

  program.command("run", { isDefault: true })
    .description("run the proxy (default command)")
    .addOption(configOption())
    .action(async (options) => setExitCode(await (await import("./run.ts")).runProxy(options)));

  program.command("check")
    .description("validate the configuration and every file it names, and print every problem")
    .addOption(configOption())
    .option("--probe", "also connect to each backend and say what clients will see")
    .action(async (options) => setExitCode(await (await import("./check.ts")).runCheck(options)));

  program.command("inspect")
    .description("negotiate TLS with any PostgreSQL and print its TLS record and certificate chain")
    .argument("<host:port>", "where it listens; a socket path works too")
    .option("--direct", "start TLS at once (PostgreSQL 17 and later) instead of sending SSLRequest")
    .option("--ca <file>", 'verify against this CA bundle ("system" = the public roots of this machine)')
    .option("--server-name <name>", "name to send as SNI and to verify (default: the host)")
    .option("--json", "print one JSON object")
    .action(async (target, options) =>
      setExitCode(await (await import("./inspect.ts")).runInspect({ target, ...options }))
    );

  program.command("health")
    .description("ask the admin server of a pgtls whether it is alive, for probes that run a program")
    .argument("<host:port>", "where the admin server listens")
    .option("--tls", "it has TLS")
    .action(async (target, options) =>
      setExitCode(await (await import("./health.ts")).runHealth({ target, ...options }))
    );

  program.command("certs")
    .description("make a development CA, server and client certificates")
    .argument("<dir>", "where to write them; nothing that exists is overwritten")
    .option("--host <name...>", "DNS names and IP addresses of the server certificate")
    .option("--client <name...>", "common names, one client certificate each")
    .action(async (dir, options) =>
      setExitCode(await (await import("./certs.ts")).runCerts({ dir, ...options }))
    );

  program.command("demo")
    .description("embedded PostgreSQL + certificates + proxy, with a psql line to paste")
    .option("--port <port>", "port of the proxy (default: 6432, or a free one)")
    .action(async (options) =>
      setExitCode(await (await import("./demo_command.ts")).runDemoCommand(options))
    );

  for (const command of program.commands) {
    command.exitOverride().showHelpAfterError(`(pgtls ${command.name()} --help shows its options)`);
  }
  return program;
}

/** With a default command, commander takes a mistyped one for an argument of it. */
function unknownCommand(program: Command, [first]: readonly string[]): string | null {
  const names = [...program.commands.map((command) => command.name()), "help"];
  if (first === undefined || first.startsWith("-") || names.includes(first)) return null;
  return printable(`Cannot run command "${first}": expected one of ${names.join(", ")}`);
}

function configOption(): Option {
  return new Option("-c, --config <file>", "configuration file (TOML)").makeOptionMandatory();
}
