import assert from "node:assert/strict";
import { certificateEnds } from "../../src/observe/certificate_ends.ts";
import { Certificates } from "../../src/observe/certificates.ts";
import type { LoadedCertificate } from "../../src/observe/loaded_certificates.ts";
import { Pace } from "../../src/pace.ts";
import { makeCa } from "../support/pki.ts";
import { factsOf, lifeOf } from "./events_support.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const ca = makeCa({ name: "CA" });

Deno.test("Certificates lists each certificate once, with all its uses, the one that ends first before the others", async () => {
  const certificates = new Certificates();
  const [late, soon] = [leafOf("late", 20), leafOf("soon", 2)];
  await certificates.load([
    loaded(late, "a", "listener"),
    loaded(late, "b", "listener"),
    loaded(soon, "a", "client_cert"),
  ]);
  const listed = certificates.list().map(({ text, used }) => [text.subject, used.map(({ route }) => route)]);
  assert.deepEqual(listed, [["CN=soon", ["a"]], ["CN=late", ["a", "b"]]]);
});

Deno.test("Certificates adds what backends and verified clients have shown, and when", async () => {
  const certificates = new Certificates();
  const [server, client] = [leafOf("server", 20), leafOf("client", 10)];
  await certificates.load([loaded(server, "orders", "listener")]);
  const facts = { ...factsOf(), serverCert: server, clientChain: [client] };
  for (const event of lifeOf("c-1", { client_tls: facts, backend_tls: facts })) certificates.observe(event);
  const [first, second] = certificates.list();
  assert.equal(first?.text.subject, "CN=client");
  assert.deepEqual(first?.used.map(({ route, use, file }) => [route, use, file]), [[
    "orders",
    "client_seen",
    null,
  ]]);
  assert.deepEqual(second?.used.map(({ use }) => use), ["listener", "backend_seen"]);
  assert.ok(Date.now() - second!.used[1]!.lastSeen! < 60_000);
});

Deno.test("Certificates takes no notice of a client certificate that was not accepted", () => {
  const certificates = new Certificates();
  const facts = { ...factsOf(), clientChain: [leafOf("mallory", 5)], clientCertError: "unknown issuer" };
  for (const event of lifeOf("c-1", { client_tls: facts, backend_tls: null })) {
    const refused = { ...event, identity: "client_certificate_refused" };
    certificates.observe(event.event === "peer.verified" ? refused as typeof event : event);
  }
  assert.deepEqual(certificates.list().filter(({ text }) => text.subject === "CN=mallory"), []);
});

Deno.test("Certificates keeps what came later, where one load overtakes another", async () => {
  const certificates = new Certificates();
  const pace = new Pace({
    now: () => performance.now() * 1e6,
    sleep: () => new Promise((resolve) => setTimeout(resolve, 0)),
  });
  const slow = certificates.load([loaded(leafOf("old", 1), "a", "listener")], pace);
  await certificates.load([loaded(leafOf("new", 1), "a", "listener")]);
  await slow;
  assert.deepEqual(certificates.list().map(({ text }) => text.subject), ["CN=new"]);
});

Deno.test("Certificates forgets what a reload no longer loads, and the peers seen longest ago", async () => {
  const certificates = new Certificates(2);
  await certificates.load([loaded(leafOf("old", 1), "a", "listener")]);
  await certificates.load([loaded(leafOf("new", 1), "a", "listener")]);
  for (const name of ["one", "two", "one", "three"]) {
    const facts = { ...factsOf(), clientChain: [PEERS[name]!] };
    for (const event of lifeOf("c", { client_tls: facts }).slice(0, 6)) certificates.observe(event);
  }
  assert.deepEqual(certificates.list().map(({ text }) => text.subject).sort(), [
    "CN=new",
    "CN=one",
    "CN=three",
  ]);
});

Deno.test("Certificates stays small whatever 10,000 clients show", () => {
  const certificates = new Certificates();
  for (let i = 0; i < 10_000; i++) {
    const serverCert = new Uint8Array(200);
    new DataView(serverCert.buffer).setUint32(0, i);
    for (const event of lifeOf(`c-${i}`, { backend_tls: { ...factsOf(), serverCert } }).slice(-3)) {
      certificates.observe(event);
    }
  }
  assert.equal(certificates.list().length, 1_000);
});

Deno.test("certificateEnds takes of a chain the first end, of a bundle the first to come, of a backend the last seen", async () => {
  const certificates = new Certificates();
  const expired = leafOf("expired", -1);
  await certificates.load([
    loaded(leafOf("leaf", 20), "a", "listener"),
    loaded(leafOf("intermediate", 10), "a", "listener"),
    loaded(expired, "a", "client_ca"),
    loaded(leafOf("valid CA", 5), "a", "client_ca"),
    loaded(leafOf("later CA", 50), "a", "client_ca"),
    loaded(expired, "b", "root_ca"),
    loaded(leafOf("long expired", -9), "b", "root_ca"),
  ]);
  const ends = certificateEnds(certificates.loaded, Date.now());
  assert.deepEqual(ends.map(({ route, use, subject }) => [route, use, subject]), [
    ["a", "listener", "CN=intermediate"],
    ["a", "client_ca", "CN=valid CA"],
    ["b", "root_ca", "CN=expired"],
  ]);
});

function leafOf(name: string, days: number): Uint8Array {
  const [notBefore, notAfter] = [new Date(Date.now() - 30 * DAY_MS), new Date(Date.now() + days * DAY_MS)];
  return ca.issue({ name, purpose: "client", notBefore, notAfter }).der;
}

function loaded(der: Uint8Array, route: string, use: LoadedCertificate["use"]): LoadedCertificate {
  return { der, route, use, file: `${use}.pem` };
}

const PEERS: Readonly<Record<string, Uint8Array>> = {
  one: leafOf("one", 3),
  two: leafOf("two", 3),
  three: leafOf("three", 3),
};
