/** All workers run the same app in the same version, or none of them does: what one cannot take the others give back. */
import assert from "node:assert/strict";
import { serve, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { freeAddress } from "../support/free_port.ts";
import { startMortalProxy } from "../support/proxy_process.ts";
import { connectRaw, connectRawTls, startupMessage } from "../support/raw_client.ts";
import { routeTo } from "../support/two_legs.ts";

/** So many connections all come to one of two workers less than once in 500,000 runs. */
const MANY = 20;

const answering = (answer: string, startup: string) => `
  const beside = (name: string) => new URL(name, import.meta.url);
  export default async (scope: any, receive: any, send: any) => {
    const event = await receive();
    if (scope.type !== "lifespan") return await send({ type: "postgresql.${answer}" });
    try {
      ${startup}
      await send({ type: "lifespan.startup.complete" });
    } catch (error) {
      await send({ type: "lifespan.startup.failed", message: "no policy" });
    }
  };`;
const WHILE_ALLOWED = answering("accept", `Deno.statSync(beside("policy"));`);
const ONLY_ONCE = answering("reject", `Deno.mkdirSync(beside("lock"));`);

Deno.test("a worker whose app cannot start does not take a dead one's place: it is reported, and tried again", async () => {
  await using backend = await startFakeBackend(serve);
  const policy = await Deno.makeTempFile({ prefix: "pgtls-policy-" });
  const app = WHILE_ALLOWED.replace(`beside("policy")`, JSON.stringify(policy));
  await using proxy = await startMortalProxy({ app, ...routeTo(backend.port, "clear") });
  await Deno.remove(policy);
  await proxy.process.write("0 exit");
  const [, again] = await proxy.waitFor("worker.failed", 2);
  assert.equal(again!["worker"], 0);
  assert.match(
    String(again!["detail"]),
    /^proxy\[0\]\.app \(route "route0"\): Cannot start app: .*no policy/,
  );
  assert.deepEqual(proxy.lines("worker.started"), []);
  await Deno.writeTextFile(policy, "");
  await proxy.waitFor("worker.started");
  await Deno.remove(policy);
  await proxy.process.write("1 exit");
  await proxy.waitFor("worker.failed", proxy.lines("worker.failed").length + 1);
  assert.equal(await answer(proxy.port("route0")), "served");
});

Deno.test("an app that starts in one worker alone is taken by none", async () => {
  await using backend = await startFakeBackend(serve);
  const first = answering("accept", "");
  await using proxy = await startMortalProxy({ app: first, ...routeTo(backend.port, "clear") });
  await proxy.replace("route0.ts", ONLY_ONCE);
  await proxy.reload();
  assert.match(String(proxy.lines("tls.reload_failed")[0]!["detail"]), /Cannot start app: .*no policy/);
  for (let i = 0; i < MANY; i++) assert.equal(await answer(proxy.port("route0")), "served");
});

Deno.test("a route whose app starts in one worker alone does not move, either", async () => {
  await using backend = await startFakeBackend(serve);
  const first = answering("accept", "");
  await using proxy = await startMortalProxy({ app: first, ...routeTo(backend.port, "clear") });
  const [port, bind_address] = [proxy.port("route0"), freeAddress()];
  const listener = { bind_address };
  await proxy.configure({ app: ONLY_ONCE, ...routeTo(backend.port, "clear", { listener }) });
  await proxy.reload();
  for (let i = 0; i < MANY; i++) assert.equal(await answer(port), "served");
  await assert.rejects(connectRaw(Number(bind_address.split(":")[1])), /ECONNREFUSED/);
});

Deno.test("the worker that takes a dead one's place runs the app that is in use, not what its file has become", async () => {
  await using backend = await startFakeBackend(serve);
  const route = { app: answering("reject", ""), ...routeTo(backend.port, "clear") };
  await using proxy = await startMortalProxy(route);
  // Together with a certificate that cannot be used: the route stays as it is.
  await proxy.replace("route0-listener-server_cert.pem", "no certificate");
  await proxy.replace("route0.ts", answering("accept", ""));
  await proxy.reload();
  await proxy.process.write("0 exit");
  const [, again] = await proxy.waitFor("worker.failed", 2);
  assert.match(String(again!["detail"]), /route0\.ts".* it has changed/);
  for (let i = 0; i < MANY; i++) assert.equal(await answer(proxy.port("route0")), "refused");
  await proxy.replace("route0.ts", answering("reject", ""));
  await proxy.waitFor("worker.started");
  for (let i = 0; i < MANY; i++) assert.equal(await answer(proxy.port("route0")), "refused");
});

async function answer(port: number): Promise<string> {
  await using client = await connectRawTls(port);
  await client.send(startupMessage());
  return (await client.readSome())?.[0] === WELCOME[0] ? "served" : "refused";
}
