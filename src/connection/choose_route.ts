/** Stage between negotiate and handshake: which of an endpoint's routes the client means. Takes `Negotiated`, gives `Routed`. */

import { StageError } from "../errors.ts";
import { type ClientHello, ClientHelloError, ClientHelloReader } from "../tls/client_hello.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Negotiated } from "./negotiate.ts";
import type { Route } from "./route.ts";
import { readClient } from "./socket.ts";

/** The client's route is known. */
export interface Routed extends Negotiated {
  readonly route: Route;
  /** The server name that chose the route, `null` if the client gave none; absent where no name was looked at. */
  readonly serverName?: string | null;
  /** For a CancelRequest in clear, which names no server: a route to each backend it may be meant for. */
  readonly cancelRoutes?: readonly Route[];
}

/**
 * Chooses the route: in TLS by the server name in the ClientHello, in clear the default one. Where there is nothing to
 * choose the ClientHello is not looked at. The socket stands before the ClientHello afterwards, as it did before.
 *
 * @throws {StageError} `unrecognized_name`, `handshake_failed` (the ClientHello cannot be read),
 *   `plaintext_cancel_refused`, `tls_required`, `client_closed`, `client_lost`, or the signal's reason.
 */
export async function chooseRoute(negotiated: Negotiated, signal: AbortSignal): Promise<Routed> {
  const { endpoint, transport } = negotiated;
  if (transport.kind === "plaintext") {
    if (transport.packet.kind === "cancel_request") return { ...negotiated, ...chooseForCancel(endpoint) };
    const route = endpoint.defaultRoute;
    // Looked at again: a reload may have replaced the routes since the client was told how it may speak.
    if (route === null || !allowsClear(route)) {
      throw new StageError("tls_required", "Cannot serve a client that does not ask for TLS");
    }
    return { ...negotiated, route };
  }
  if (endpoint.onlyRoute !== null) return { ...negotiated, route: endpoint.onlyRoute };
  const { serverName } = await peekClientHello(negotiated, signal);
  const route = endpoint.routeFor(serverName);
  if (route !== null) return { ...negotiated, route, serverName };
  const wanted = serverName === null
    ? "Client names no server"
    : `Client asks for server name "${serverName}"`;
  throw new StageError(
    "unrecognized_name",
    `${wanted}: no route of this address has it, and there is no default`,
    {
      alert: "unrecognized_name",
    },
  );
}

function allowsClear({ config: { listener } }: Route): boolean {
  return !listener.tlsEnabled || listener.unsafeAllowPlaintext;
}

/** The secret key in it is known to one backend, and nothing tells which: every one of them is asked. */
function chooseForCancel(endpoint: Endpoint): Pick<Routed, "route" | "cancelRoutes"> {
  const allowed = endpoint.routes.filter(({ config }) => config.listener.plaintextCancel);
  const byBackend = new Map(allowed.map((route) => [JSON.stringify(route.config.backend.address), route]));
  const [route, ...others] = byBackend.values();
  if (route === undefined) {
    throw new StageError("plaintext_cancel_refused", "Cannot forward a CancelRequest sent outside TLS");
  }
  return { route, cancelRoutes: [route, ...others] };
}

/** Reads the ClientHello and gives every byte back: the handshake is done on the very bytes that chose the route. */
async function peekClientHello({ socket }: Negotiated, signal: AbortSignal): Promise<ClientHello> {
  const reader = new ClientHelloReader();
  try {
    for (let hello = reader.next();; hello = reader.next()) {
      if (hello !== null) {
        socket.unshift(reader.received);
        return hello;
      }
      const chunk = await readClient(socket, reader.room, signal);
      if (chunk === null) {
        throw new StageError("client_closed", "Client closed the connection in its ClientHello");
      }
      reader.receive(chunk);
    }
  } catch (error) {
    if (!(error instanceof ClientHelloError)) throw error;
    throw new StageError("handshake_failed", error.message, { cause: error, alert: "decode_error" });
  }
}
