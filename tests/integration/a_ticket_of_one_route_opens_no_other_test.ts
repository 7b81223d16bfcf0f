/**
 * Trap 1: all TLS servers of one isolate share a ticket key, and a resumed session skips the client's certificate.
 * Tickets are carried by `openssl s_client` from a route that gives them to one that must not honour them.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { summarizeTls } from "../../src/tls/record.ts";
import { startCountingBackend } from "../support/counting_backend.ts";
import { LET_IN, requiring, startNaiveServer } from "../support/naive_tls.ts";
import { type Leaf, makeCa, makeSelfSigned } from "../support/pki.ts";
import { isEvent, listenerKeys, startTestProxy } from "../support/proxy.ts";
import { sClient } from "../support/s_client.ts";

const VERSIONS = ["1.2", "1.3"] as const;
const caA = makeCa({ name: "CA A" });
const caB = makeCa({ name: "CA B" });
const server = caA.issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
const alice = caA.issue({ name: "alice", purpose: "client" });
const bob = caB.issue({ name: "bob", purpose: "client" });
const rogue = makeSelfSigned({ name: "alice", purpose: "client" });

/** Where a ticket is got, with which certificate, and whose door is tried with it. */
const CROSSINGS = [
  { what: "nobody, from a route without mtls", got: "open", to: "A", code: "no_certificate" },
  { what: "nobody, from an optional route", got: "optional A", to: "A", code: "no_certificate" },
  { what: "a client of CA A at CA B's route", got: "A", leaf: alice, to: "B", code: "unknown_issuer" },
  {
    what: "a client of CA B that optional refused",
    got: "optional A",
    leaf: bob,
    to: "A",
    code: "unknown_issuer",
  },
  {
    what: "a self-signed certificate that optional let in",
    got: "optional A",
    leaf: rogue,
    to: "A",
    code: "unknown_issuer",
  },
] as const satisfies readonly {
  what: string;
  got: RouteName;
  leaf?: Leaf;
  to: RouteName;
  code: string;
}[];

type RouteName = "open" | "A" | "B" | "optional A";

Deno.test("a ticket of one route opens no other", async (t) => {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-tickets-" });
  try {
    for (const version of VERSIONS) {
      for (const crossing of CROSSINGS) {
        const ticket = join(dir, crypto.randomUUID());
        const name = `TLS ${version}, ${crossing.what}`;
        await t.step(`${name}: the runtime alone lets it in`, () => crossNaively(crossing, version, ticket));
        await t.step(`${name}: pgtls refuses it`, () => cross(crossing, version, ticket));
      }
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

type Crossing = (typeof CROSSINGS)[number];

async function crossNaively(crossing: Crossing, version: "1.2" | "1.3", ticket: string): Promise<void> {
  const options = {
    "open": {},
    "A": requiring(caA),
    "B": requiring(caB),
    "optional A": { ...requiring(caA), rejectUnauthorized: false },
  };
  await using first = await startNaiveServer(server, options[crossing.got]);
  await using second = await startNaiveServer(server, options[crossing.to]);
  const common = { version, starttls: false, until: LET_IN, ...certificateOf(crossing) };
  const honest = await sClient(second.port, common);
  assert.doesNotMatch(honest.stdout, LET_IN, "without a ticket it is refused");
  const got = await sClient(first.port, { ...common, sessionOut: ticket });
  assert.match(got.stdout, LET_IN, got.stderr);
  const { resumed, stdout } = await sClient(second.port, { ...common, sessionIn: ticket });
  assert.ok(resumed, "the ticket is honoured");
  assert.match(stdout, LET_IN);
}

async function cross(crossing: Crossing, version: "1.2" | "1.3", ticket: string): Promise<void> {
  await using open = await startCountingBackend();
  await using guarded = await startCountingBackend();
  const listeners = {
    "open": listenerKeys(server),
    "A": listenerKeys(server, caA),
    "B": listenerKeys(server, caB),
    "optional A": { ...listenerKeys(server, caA), mtls: "optional" },
  };
  await using proxy = await startTestProxy(
    { listener: listeners[crossing.got], backend: open.backend },
    { listener: listeners[crossing.to], backend: guarded.backend },
  );
  const common = { version, ...certificateOf(crossing) };
  const got = await sClient(proxy.ports[0]!, { ...common, sessionOut: ticket });
  assert.ok(got.ready, `${got.stdout}\n${got.stderr}`);
  const refused = await sClient(proxy.ports[1]!, { ...common, sessionIn: ticket });
  assert.ok(refused.resumed, "the attack must get as far as resuming");
  assert.equal(refused.sqlstate, "28000");
  assert.equal(refused.ready, false);
  assert.equal(guarded.accepts(), 0, "nothing may be dialled");
  const [, closed] = await proxy.closed(2);
  const summary = summarizeTls(closed!.client_tls!);
  assert.deepEqual([closed!.route, closed!.reason, summary.resumed], ["route1", "peer_rejected", true]);
  assert.deepEqual(proxy.events.filter(isEvent("peer.rejected")).map(({ code }) => code), [crossing.code]);
}

/** In TLS 1.3 a client that resumes presents nothing; the certificate then is the one inside the ticket. */
function certificateOf(crossing: Crossing): { readonly leaf?: Leaf } {
  return "leaf" in crossing ? { leaf: crossing.leaf } : {};
}
