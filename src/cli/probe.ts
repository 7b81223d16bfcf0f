/** Connects to one route's backend as the proxy would, and says what its clients will see. */

import type { RouteConfig } from "../config/types.ts";
import { type Backend, connectBackend, connectDeadline } from "../connection/connect_backend.ts";
import { describeAddress } from "../connection/socket.ts";
import { describeFailure } from "../errors.ts";
import type { RouteMaterial } from "../tls/material.ts";
import { describeFacts } from "./tls_text.ts";

/** What the probe of one route found. */
export interface ProbeResult {
  readonly ok: boolean;
  readonly lines: readonly string[];
}

/** Dials, negotiates and verifies exactly as for a client, then hangs up before the StartupMessage. */
export async function probeRoute(config: RouteConfig, material: RouteMaterial): Promise<ProbeResult> {
  const sockets: { destroy(): void }[] = [];
  const where = `backend ${describeAddress(config.backend.address)}`;
  const deadline = connectDeadline(config.backend);
  const { signal } = deadline;
  const onSocket = (socket: { destroy(): void }) => sockets.push(socket);
  try {
    const backend = await connectBackend({ config, material }, { signal, onSocket });
    const leg = backend.tls ? describeFacts(backend.tls) : ["connected in plaintext (tls_enabled = false)"];
    return { ok: true, lines: [`${where}: ok`, ...leg, ...whatClientsSee(config, material, backend)] };
  } catch (error) {
    const { reason, answer, detail } = describeFailure(error);
    const seen = answer ? `FATAL: ${answer.message} (SQLSTATE ${answer.sqlstate})` : "a closed connection";
    return { ok: false, lines: [`${where}: ${reason}`, detail, `clients will see: ${seen}`] };
  } finally {
    deadline.clear();
    for (const socket of sockets) socket.destroy();
  }
}

function whatClientsSee({ listener }: RouteConfig, material: RouteMaterial, backend: Backend): string[] {
  const lines = [CLIENT_SIDE[String(listener.mtls)] ?? ""];
  if (!listener.tlsEnabled) lines[0] = "clients: plaintext only, TLS is answered with N";
  else if (listener.unsafeAllowPlaintext) {
    lines.push("clients that do not ask for TLS are relayed in plaintext");
  }
  lines.push(channelBinding(material, backend));
  return lines;
}

/** SCRAM binds a login to the certificate the client saw (RFC 5929, tls-server-end-point). */
function channelBinding(material: RouteMaterial, backend: Backend): string {
  if (backend.tls === null) {
    return "SCRAM passwords: work, without channel binding (the backend leg is plaintext)";
  }
  if (material.listener === null) {
    return 'SCRAM passwords: fail ("server offered SCRAM-SHA-256-PLUS over a non-SSL connection"), ' +
      "because clients come in plaintext and the backend offers channel binding";
  }
  const ours = material.listener.leafDer.toBase64();
  if (backend.tls.serverCert?.toBase64() === ours) {
    return "SCRAM passwords: work, with channel binding (both legs show the same certificate)";
  }
  return 'SCRAM passwords: fail for a default psql ("SCRAM channel binding check failed"), because the two legs show ' +
    "different certificates; clients need channel_binding=disable, or use certificate authentication";
}

const CLIENT_SIDE: Readonly<Record<string, string>> = {
  true: "clients: TLS with a certificate from client_ca required",
  optional: "clients: TLS required; a certificate is asked for, and reported when it does not verify",
  false: "clients: TLS required, no certificate asked for",
};
