/** A raw client, pgtls and a fake backend, with each leg in TLS or in clear as a test asks. */
import { grantTls } from "./fake_backend.ts";
import type { PeerStream } from "./peer_stream.ts";
import { makeCa } from "./pki.ts";
import { listenerKeys, type RouteTables, startTestProxy, type TestProxy } from "./proxy.ts";
import { connectRaw, connectRawTls } from "./raw_client.ts";

/** How a leg is spoken. */
export type Leg = "TLS" | "clear";

/** Both legs of a session. */
export interface Legs {
  readonly client: Leg;
  readonly backend: Leg;
}

/** Every combination, with a name for the test. */
export const ALL_LEGS: readonly (Legs & { readonly name: string })[] = (["TLS", "clear"] as const).flatMap(
  (client) =>
    (["TLS", "clear"] as const).map((backend) => ({
      client,
      backend,
      name: `client in ${client}, backend in ${backend}`,
    })),
);

/** Issues the certificate of both pgtls and the fake backend. */
export const ca = makeCa({ name: "proxy and backend CA" });

/** What pgtls and the fake backend present. */
export const leaf = ca.issue({ name: "localhost", purpose: "server", sans: ["localhost", "127.0.0.1"] });

/** The keys of a route to a backend on `port`; the listener takes clients in TLS and in clear. */
export function routeTo(
  port: number,
  leg: Leg,
  more: { readonly listener?: Record<string, unknown>; readonly backend?: Record<string, unknown> } = {},
): RouteTables {
  return {
    listener: { ...listenerKeys(leaf), unsafe_allow_plaintext: true, ...more.listener },
    backend: {
      address: `127.0.0.1:${port}`,
      ...(leg === "TLS" ? { root_ca: ca.certPem } : { tls_enabled: false }),
      ...more.backend,
    },
  };
}

/** Starts pgtls with one such route. */
export function startProxyTo(...args: Parameters<typeof routeTo>): Promise<TestProxy> {
  return startTestProxy(routeTo(...args));
}

/** The fake backend's side: TLS if the leg has it. */
export async function speak(tcp: PeerStream, leg: Leg): Promise<PeerStream> {
  return leg === "TLS" ? await grantTls(tcp, leaf) : tcp;
}

/** The client's side, up to where the StartupMessage goes. */
export function connectOver(leg: Leg, proxy: TestProxy): Promise<PeerStream> {
  const port = proxy.ports[0]!;
  return leg === "TLS" ? connectRawTls(port) : connectRaw(port);
}
