import assert from "node:assert/strict";
import { Lifespan } from "../../src/scope/lifespan.ts";
import { Lifespans } from "../../src/scope/lifespans.ts";
import type { App, LifespanReceive, LifespanSend, Scope } from "../../src/scope/types.ts";

type TestReceive = () => Promise<LifespanReceive>;
type TestSend = (event: LifespanSend) => Promise<void>;

/** An app that does what it is told to, and notes what it hears. */
function lifelong(heard: unknown[]): App {
  return appOf(async (scope, receive, send) => {
    heard.push(scope.type, (await receive()).type);
    await send({ type: "lifespan.startup.complete" });
    heard.push((await receive()).type);
    await send({ type: "lifespan.shutdown.complete" });
  });
}

Deno.test("Lifespan tells an app of the start and of the end, and waits for it", async () => {
  const heard: unknown[] = [];
  const lifespan = await Lifespan.start(lifelong(heard), GUARD_MS);
  assert.deepEqual(heard, ["lifespan", "lifespan.startup"]);
  await lifespan.stop(GUARD_MS);
  assert.deepEqual(heard, ["lifespan", "lifespan.startup", "lifespan.shutdown"]);
});

for (
  const [what, app] of [
    [
      "throws at a scope it does not know",
      appOf((scope) => {
        throw new TypeError(`unknown scope ${scope.type}`);
      }),
    ],
    [
      "throws after receiving",
      appOf(async (_, receive) => {
        await receive();
        throw new Error("no");
      }),
    ],
    ["returns at once", appOf(() => {})],
    ["takes it for a session", appOf((_, __, send) => send({ type: "postgresql.accept" } as never))],
  ] as const
) {
  Deno.test(`Lifespan goes on without an app that ${what}`, async () => {
    const lifespan = await Lifespan.start(app, GUARD_MS);
    await lifespan.stop(GUARD_MS);
  });
}

Deno.test("Lifespan does not start an app that says that it cannot", async () => {
  const app = appOf((_, __, send) => send({ type: "lifespan.startup.failed", message: "no policy" }));
  await assert.rejects(Lifespan.start(app, GUARD_MS), {
    message: "it reports that it cannot start: no policy",
  });
});

Deno.test("Lifespan does not start an app that takes too long, and lets it go", async () => {
  const heard: unknown[] = [];
  const app = appOf(async (_, receive) => {
    await receive();
    await receive().catch((error) => heard.push(error.name));
  });
  await assert.rejects(Lifespan.start(app, 10), {
    message: /^it has not completed lifespan\.startup within 10 ms/,
  });
  await Promise.resolve();
  assert.deepEqual(heard, ["ConnectionOver"]);
});

Deno.test("Lifespan does not start an app that sends something else", async () => {
  const app = appOf((_, __, send) => send({ type: "lifespan.startup.completed" } as never));
  await assert.rejects(Lifespan.start(app, GUARD_MS), {
    message: 'it sent "lifespan.startup.completed" while starting',
  });
});

for (
  const [what, end, message] of [
    [
      "says that it failed",
      (send: TestSend) => send({ type: "lifespan.shutdown.failed", message: "busy" }),
      /^it reports that it could not stop in order: busy$/,
    ],
    ["throws", () => Promise.reject(new Error("at the end")), /^it threw Error: at the end$/],
    [
      "never ends",
      () => new Promise<void>(() => {}),
      /^it has not completed lifespan\.shutdown within 20 ms/,
    ],
  ] as const
) {
  Deno.test(`Lifespan says so when an app ${what} at the end`, async () => {
    const lifespan = await Lifespan.start(
      appOf(async (_, receive, send) => {
        await receive();
        await send({ type: "lifespan.startup.complete" });
        await receive();
        await end(send);
      }),
      GUARD_MS,
    );
    await assert.rejects(lifespan.stop(20), { message });
  });
}

Deno.test("Lifespan says at the end that an app had ended by itself with an error", async () => {
  const lifespan = await Lifespan.start(
    appOf(async (_, __, send) => {
      await send({ type: "lifespan.startup.complete" });
      throw new Error("midway");
    }),
    GUARD_MS,
  );
  await assert.rejects(lifespan.stop(GUARD_MS), { message: "it threw Error: midway" });
});

Deno.test("Lifespans tells an app that two routes share once", async () => {
  const heard: unknown[] = [];
  const app = lifelong(heard);
  const lifespans = new Lifespans();
  const problems = await lifespans.start([owner(app, "one"), owner(app, "two")]);
  assert.deepEqual(await lifespans.start([owner(app, "three")]), []);
  await lifespans.stop(() => heard.push("failed"));
  assert.deepEqual(problems, []);
  assert.deepEqual(heard, ["lifespan", "lifespan.startup", "lifespan.shutdown"]);
});

Deno.test("Lifespans names every route of an app that cannot start, and keeps the others", async () => {
  const heard: unknown[] = [];
  const cannot = (message: string) =>
    appOf((_, __, send) => send({ type: "lifespan.startup.failed", message }));
  const lifespans = new Lifespans();
  const failing = cannot("no policy");
  const problems = await lifespans.start([
    owner(failing, "one"),
    owner(lifelong(heard), "two"),
    owner(failing, "three"),
  ]);
  const message = "Cannot start app: it reports that it cannot start: no policy";
  assert.deepEqual(problems, [
    { path: "one.app", route: "one", message },
    { path: "three.app", route: "three", message },
  ]);
  await lifespans.stop(() => heard.push("failed"));
  assert.deepEqual(heard, ["lifespan", "lifespan.startup", "lifespan.shutdown"]);
});

Deno.test("Lifespans stops an app that a reload has taken out, and no other", async () => {
  const [gone, stays]: [unknown[], unknown[]] = [[], []];
  const [old, kept] = [lifelong(gone), lifelong(stays)];
  const lifespans = new Lifespans();
  await lifespans.start([owner(old, "one"), owner(kept, "two")]);
  await lifespans.retain(new Set([kept]), () => gone.push("failed"));
  assert.deepEqual(gone, ["lifespan", "lifespan.startup", "lifespan.shutdown"]);
  assert.deepEqual(stays, ["lifespan", "lifespan.startup"]);
  await lifespans.stop(() => stays.push("failed"));
});

function owner(app: App, route: string) {
  return { app, route, path: `${route}.app`, timeoutMs: GUARD_MS };
}

function appOf(app: (scope: Scope, receive: TestReceive, send: TestSend) => unknown): App {
  return app as App;
}

/** Only a guard against a test that hangs. */
const GUARD_MS = 60_000;
