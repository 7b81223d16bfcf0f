/** `pgtls check`: everything that can be known to be wrong before a client connects. */

import type { Config } from "../config/types.ts";
import { describeAddress } from "../connection/socket.ts";
import { formatProblem } from "../errors.ts";
import { load } from "../load.ts";
import type { LoadedRoute } from "../load_parts.ts";
import { probeRoute } from "./probe.ts";
import { printable } from "../printable.ts";
import { EXIT, reportError } from "./report.ts";

/** Options of {@linkcode runCheck}. */
export interface CheckOptions {
  readonly config: string;
  /** Also connect to each backend. */
  readonly probe?: boolean;
}

/** Validates, prints every problem or what will be served, and with `probe` what clients will see. Binds nothing. */
export async function runCheck(options: CheckOptions): Promise<number> {
  try {
    const { config, routes, warnings } = await load(options.config);
    for (const warning of warnings) console.error(printable(`warning:\n${formatProblem(warning)}`));
    console.log(`Config "${config.file}" is valid: ${describeRoutes(config)}`);
    return options.probe ? await probeRoutes(routes) : EXIT.ok;
  } catch (error) {
    return reportError(error);
  }
}

function describeRoutes(config: Config): string {
  const routes = config.routes.map(({ name, listener, backend }) => {
    const client = listener.tlsEnabled ? `TLS, mtls = ${JSON.stringify(listener.mtls)}` : "plaintext";
    const names = listener.serverNames.length > 0 ? ` for ${listener.serverNames.join(", ")}` : "";
    const server = backend.tlsEnabled ? `verified TLS, tls_verify = "${backend.tlsVerify}"` : "plaintext";
    return `\n  ${name}: ${describeAddress(listener.bindAddress)}${names} (${client}) -> ${
      describeAddress(backend.address)
    } (${server})`;
  });
  return `${routes.length} ${routes.length === 1 ? "route" : "routes"}${routes.join("")}`;
}

async function probeRoutes(routes: readonly LoadedRoute[]): Promise<number> {
  let exitCode: number = EXIT.ok;
  for (const route of routes) {
    const { config } = route;
    const result = await probeRoute(route);
    console.log(
      printable([`\nproxy[${config.index}] (route "${config.name}")`, ...result.lines].join("\n  ")),
    );
    if (!result.ok) exitCode = EXIT.failed;
  }
  return exitCode;
}
