/**
 * Routes of one address, told apart by server name: a session got under one name must not carry its client certificate,
 * or the lack of one, to the route of another name. Tickets are carried by `openssl s_client`.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { startCountingBackend } from "../support/counting_backend.ts";
import { freeAddress } from "../support/free_port.ts";
import { type Leaf, makeCa, makeSelfSigned } from "../support/pki.ts";
import { isEvent, listenerKeys, startTestProxy } from "../support/proxy.ts";
import { sClient } from "../support/s_client.ts";

const caA = makeCa({ name: "CA A" });
const caB = makeCa({ name: "CA B" });
const ROUTES = {
  "open.test": {},
  "a.test": { mtls: true, client_ca: caA.certPem },
  "b.test": { mtls: true, client_ca: caB.certPem },
  "optional.test": { mtls: "optional", client_ca: caA.certPem },
} as const;
const server = caA.issue({ name: "server", purpose: "server", sans: Object.keys(ROUTES) });
const alice = caA.issue({ name: "alice", purpose: "client" });
const rogue = makeSelfSigned({ name: "alice", purpose: "client" });

interface Crossing {
  readonly got: keyof typeof ROUTES;
  readonly to: keyof typeof ROUTES;
  readonly leaf?: Leaf;
  readonly code: string;
}

const CROSSINGS: Readonly<Record<string, Crossing>> = {
  "nobody, from an open route": { got: "open.test", to: "a.test", code: "no_certificate" },
  "a client of CA A at CA B's route": { got: "a.test", to: "b.test", leaf: alice, code: "unknown_issuer" },
  "a self-signed certificate that optional let in": {
    got: "optional.test",
    to: "a.test",
    leaf: rogue,
    code: "unknown_issuer",
  },
};

for (const version of ["1.2", "1.3"] as const) {
  for (const [what, crossing] of Object.entries(CROSSINGS)) {
    Deno.test(`TLS ${version}, ${what}: refused, with the ticket as without it`, () =>
      cross(crossing, version));
  }
}

async function cross({ got, to, leaf, code }: Crossing, version: "1.2" | "1.3"): Promise<void> {
  const ticket = join(await Deno.makeTempDir({ prefix: "pgtls-tickets-" }), "ticket");
  await using backend = await startCountingBackend();
  const address = freeAddress();
  const routes = Object.entries(ROUTES).map(([name, mtls]) => ({
    name,
    listener: { bind_address: address, server_names: [name], ...listenerKeys(server), ...mtls },
    backend: backend.backend,
  }));
  await using proxy = await startTestProxy(...routes);
  const port = proxy.ports[0]!;
  try {
    const common = { version, ...(leaf && { leaf }) };
    assert.ok((await sClient(port, { ...common, serverName: got, sessionOut: ticket })).ready);
    const own = await sClient(port, { ...common, serverName: got, sessionIn: ticket });
    assert.deepEqual([own.resumed, own.ready], [true, true], "the ticket is good where it was got");
    const { sqlstate, ready } = await sClient(port, { ...common, serverName: to, sessionIn: ticket });
    assert.deepEqual([sqlstate, ready], ["28000", false]);
    assert.equal(backend.accepts(), 2);
    const [, , closed] = await proxy.closed(3);
    assert.deepEqual([closed!.route, closed!.reason], [to, "peer_rejected"]);
    assert.deepEqual(proxy.events.filter(isEvent("peer.rejected")).map((event) => event.code), [code]);
  } finally {
    await Deno.remove(join(ticket, ".."), { recursive: true });
  }
}
