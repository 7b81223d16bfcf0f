/** Connects to one route's backend as the proxy would, and says what its clients will see. */

import { connectBackend, connectDeadline } from "../connection/connect_backend.ts";
import { describeAddress } from "../connection/socket.ts";
import { describeFailure } from "../errors.ts";
import { type ProbedRoute, whatPasswordsDo } from "./probe_passwords.ts";
import { describeFacts } from "./tls_text.ts";

/** What the probe of one route found. */
export interface ProbeResult {
  readonly ok: boolean;
  readonly lines: readonly string[];
}

/** Dials, negotiates and verifies exactly as for a client, then hangs up before the StartupMessage. */
export async function probeRoute(
  { config, material, users }: Omit<ProbedRoute, "backend">,
): Promise<ProbeResult> {
  const sockets: { destroy(): void }[] = [];
  const where = `backend ${describeAddress(config.backend.address)}`;
  const deadline = connectDeadline(config.backend);
  const { signal } = deadline;
  const onSocket = (socket: { destroy(): void }) => sockets.push(socket);
  try {
    const backend = await connectBackend({ config, material }, { signal, onSocket });
    const leg = backend.tls ? describeFacts(backend.tls) : ["connected in plaintext (tls_enabled = false)"];
    return {
      ok: true,
      lines: [`${where}: ok`, ...leg, ...whatClientsSee({ config, material, users, backend })],
    };
  } catch (error) {
    const { reason, answer, detail } = describeFailure(error);
    const seen = answer ? `FATAL: ${answer.message} (SQLSTATE ${answer.sqlstate})` : "a closed connection";
    return { ok: false, lines: [`${where}: ${reason}`, detail, `clients will see: ${seen}`] };
  } finally {
    deadline.clear();
    for (const socket of sockets) socket.destroy();
  }
}

function whatClientsSee(route: ProbedRoute): string[] {
  const { listener } = route.config;
  const lines = [CLIENT_SIDE[String(listener.mtls)] ?? ""];
  if (!listener.tlsEnabled) lines[0] = "clients: plaintext only, TLS is answered with N";
  else if (listener.unsafeAllowPlaintext) {
    lines[0] = lines[0]!.replace("TLS required", "TLS offered");
    lines.push("clients that do not ask for TLS are relayed in plaintext");
  }
  return [...lines, ...whatPasswordsDo(route)];
}

const CLIENT_SIDE: Readonly<Record<string, string>> = {
  true: "clients: TLS with a certificate from client_ca required",
  optional: "clients: TLS required; a certificate is asked for, and reported when it does not verify",
  false: "clients: TLS required, no certificate asked for",
};
