import assert from "node:assert/strict";
import { StageError } from "../../src/errors.ts";
import type { PostgresqlReceive, PostgresqlSend, Scope } from "../../src/scope/types.ts";
import { ACCEPTED, END, outcomeOf, scopeOf, start, turn } from "./scope_support.ts";

type TestReceive = () => Promise<PostgresqlReceive>;
type TestSend = (event: PostgresqlSend) => Promise<void>;

const ACCEPT = { type: "postgresql.accept" } as const;
const REJECT = { type: "postgresql.reject" } as const;

Deno.test("AppRun calls the app with the scope, says connect and takes its decision", async () => {
  const scope = scopeOf();
  const seen: unknown[] = [];
  const { decision, reports } = await outcomeOf(
    async (given: Scope, receive: TestReceive, send: TestSend) => {
      seen.push(given === scope, await receive());
      seen.push(await send(ACCEPT));
      seen.push(await receive());
    },
    { scope },
  );
  assert.deepEqual(decision, ACCEPTED);
  assert.deepEqual(seen, [true, { type: "postgresql.connect" }, undefined, END]);
  assert.deepEqual(reports, []);
});

Deno.test("AppRun takes what an app sends along, and ignores what it returns", async () => {
  const event = {
    type: "postgresql.accept",
    user: "bob",
    backend: "replica",
    parameters: { database: "d", x: null },
  };
  const { decision } = await outcomeOf((_: Scope, __: TestReceive, send: (event: unknown) => unknown) =>
    send(event)
  );
  const parameters = new Map([["database", "d"], ["x", null]]);
  assert.deepEqual(decision, { kind: "accepted", backend: "replica", user: "bob", parameters });
});

Deno.test("AppRun takes a refusal with the app's words", async () => {
  const { decision, reports } = await outcomeOf(async (_: Scope, __: TestReceive, send: TestSend) => {
    await send({ ...REJECT, message: "not on\nSundays\u202e", sqlstate: "28P01", detail: "calendar" });
  });
  assert.deepEqual(decision, {
    kind: "rejected",
    message: "not on Sundays",
    sqlstate: "28P01",
    detail: "calendar",
  });
  assert.deepEqual(reports, []);
});

Deno.test("AppRun refuses with 28000 and a plain message unless the app says otherwise", async () => {
  const { decision } = await outcomeOf((_: Scope, __: TestReceive, send: TestSend) => send(REJECT));
  assert.deepEqual(decision, {
    kind: "rejected",
    message: "connection refused by policy",
    sqlstate: "28000",
    detail: null,
  });
});

/** What apps do wrong before they have decided, and what the log says. */
const FAILURES: Readonly<Record<string, readonly [app: unknown, detail: string]>> = {
  "throws": [() => Promise.reject(new Error("no policy")), "App threw Error: no policy"],
  "throws at once": [() => {
    throw new RangeError("x");
  }, "App threw RangeError: x"],
  "throws what is no error": [() => Promise.reject("text"), "App threw a string: text"],
  "throws what cannot be shown": [
    () => Promise.reject({ toString: () => raise() }),
    "App threw something that cannot be described",
  ],
  "returns without deciding": [() => {}, "App returned without a decision"],
  "returns true": [() => true, "App returned without a decision"],
  "returns an accept instead of sending it": [() => ACCEPT, "App returned without a decision"],
  "returns after receiving": [
    async (_: Scope, receive: TestReceive) => void await receive(),
    "App returned without a decision",
  ],
  "is no function any more": [null, "App threw TypeError: app is not a function"],
  ...sends({
    "sends nothing": [undefined, "Cannot use an event: expected an object"],
    "sends a string": ["postgresql.accept", "Cannot use an event: expected an object"],
    "sends a list": [["postgresql.accept"], "Cannot use an event: expected a plain object"],
    "sends an object of a class": [
      new (class {
        type = "postgresql.accept";
      })(),
      "Cannot use an event: expected a plain object",
    ],
    "sends an event without type": [
      {},
      "Cannot take a undefined: expected postgresql.accept or postgresql.reject",
    ],
    "sends an unknown event": [
      { type: "postgresql.allow" },
      'Cannot take "postgresql.allow": expected postgresql.accept or postgresql.reject',
    ],
    "sends an event of another protocol": [
      { type: "websocket.accept" },
      'Cannot take "websocket.accept": expected postgresql.accept or postgresql.reject',
    ],
    "sends a type it only inherits": [
      Object.create(ACCEPT),
      "Cannot use an event: expected a plain object",
    ],
    "misspells a field": [
      { ...ACCEPT, usr: "bob" },
      'Cannot use field "usr": expected backend, user, parameters',
    ],
    "sends a field of reject with accept": [
      { ...ACCEPT, sqlstate: "28000" },
      'Cannot use field "sqlstate": expected backend, user, parameters',
    ],
    "names a user that is no string": [{ ...ACCEPT, user: 1 }, 'Cannot use field "user": expected a string'],
    "names nobody": [{ ...ACCEPT, user: "" }, "Cannot use user of 0 bytes: expected 1 to 63"],
    "names a user with NUL": [{ ...ACCEPT, user: "a\0database\0x" }, 'Cannot use field "user": it holds NUL'],
    "names half a character": [
      { ...ACCEPT, user: "a\ud800" },
      'Cannot use field "user": it is not well-formed Unicode',
    ],
    "names a user that PostgreSQL would cut": [
      { ...ACCEPT, user: "ü".repeat(32) },
      "Cannot use user of 64 bytes: expected 1 to 63",
    ],
    "sends null for a user": [{ ...ACCEPT, user: null }, 'Cannot use field "user": expected a string'],
    "names a backend that is no string": [
      { ...ACCEPT, backend: {} },
      'Cannot use field "backend": expected a string',
    ],
    "sends parameters as text": [
      { ...ACCEPT, parameters: "x" },
      'Cannot use field "parameters": expected an object',
    ],
    "sends parameters as a map": [
      { ...ACCEPT, parameters: new Map([["database", "d"]]) },
      'Cannot use field "parameters": expected a plain object',
    ],
    "sets the user as a parameter": [
      { ...ACCEPT, parameters: { user: "root" } },
      'Cannot set parameter "user": expected field "user"',
    ],
    "sets the user as a parameter in capitals": [
      { ...ACCEPT, parameters: { USER: "root" } },
      'Cannot set parameter "user": expected field "user"',
    ],
    "sets a database in capitals": [
      { ...ACCEPT, parameters: { Database: "d" } },
      'Cannot set parameter "Database": expected it in lower case',
    ],
    "sets a parameter whose name is none": [
      { ...ACCEPT, parameters: { "x\0user": "root" } },
      'Cannot set parameter "x\\u0000user": expected a name',
    ],
    "sets a number": [{ ...ACCEPT, parameters: { x: 1 } }, 'Cannot use parameter "x": expected a string'],
    "sets a parameter with NUL": [
      { ...ACCEPT, parameters: { x: "a\0user\0root" } },
      'Cannot use parameter "x": it holds NUL',
    ],
    "sets a database that PostgreSQL would cut": [
      { ...ACCEPT, parameters: { database: "d".repeat(64) } },
      "Cannot use database of 64 bytes: expected 1 to 63",
    ],
    "sets 101 parameters": [
      { ...ACCEPT, parameters: Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`x${i}`, ""])) },
      "Cannot set more than 100 parameters at once",
    ],
    "refuses with success": [
      { ...REJECT, sqlstate: "00000" },
      'Cannot use field "sqlstate": expected five characters that stand for an error',
    ],
    "refuses with a short code": [
      { ...REJECT, sqlstate: "2800" },
      'Cannot use field "sqlstate": expected five characters that stand for an error',
    ],
    "refuses with a code of lower case": [
      { ...REJECT, sqlstate: "28p01" },
      'Cannot use field "sqlstate": expected five characters that stand for an error',
    ],
    "refuses with a number": [{ ...REJECT, message: 1 }, 'Cannot use field "message": expected a string'],
  }),
};

for (const [what, [app, detail]] of Object.entries(FAILURES)) {
  Deno.test(`AppRun refuses with app_failed when the app ${what}`, async () => {
    const { decision, reports } = await outcomeOf(app);
    assert.equal(decision, `app_failed: ${detail}`);
    assert.deepEqual(reports, [], "the refusal says it already");
  });
}

Deno.test("AppRun reads each property once, so that it cannot change after it was checked", async () => {
  let reads = 0;
  const event = Object.defineProperty({ type: "postgresql.accept" }, "user", {
    enumerable: true,
    get: () => reads++ === 0 ? "bob" : "root",
  });
  const { decision } = await outcomeOf((_: Scope, __: TestReceive, send: (event: unknown) => unknown) =>
    send(event)
  );
  assert.deepEqual(decision, { ...ACCEPTED, user: "bob" });
});

Deno.test("AppRun refuses when a property throws", async () => {
  const event = Object.defineProperty({}, "type", { enumerable: true, get: raise });
  const { decision } = await outcomeOf((_: Scope, __: TestReceive, send: (event: unknown) => unknown) =>
    send(event)
  );
  assert.equal(decision, "app_failed: App sent what cannot be used: Error: trap");
});

Deno.test("AppRun lets no later accept mend a failure", async () => {
  const { decision, reports } = await outcomeOf(
    async (_: Scope, __: TestReceive, send: (event: unknown) => unknown) => {
      await Promise.resolve(send({ type: "oops" })).catch(() => {});
      await assert.rejects(async () => await send(ACCEPT), { name: "ConnectionOver" });
    },
  );
  assert.match(String(decision), /^app_failed: App sent what cannot be used/);
  assert.deepEqual(reports, []);
});

for (const second of [ACCEPT, REJECT, { ...ACCEPT, user: 1 }]) {
  Deno.test(`AppRun ends the session when an app accepts and then sends ${JSON.stringify(second)}`, async () => {
    const { decision, reports } = await outcomeOf(
      async (_: Scope, __: TestReceive, send: (event: unknown) => unknown) => {
        await send(ACCEPT);
        await assert.rejects(async () => await send(second), { name: "StageError" });
      },
    );
    assert.deepEqual(decision, ACCEPTED);
    assert.deepEqual(reports, ["revoked: app_failed: App decided twice"]);
  });
}

Deno.test("AppRun ends the session when an app decides twice in one breath, without waiting", () => {
  const { reports } = start((_: Scope, __: TestReceive, send: TestSend) => {
    send(ACCEPT);
    send(ACCEPT);
  });
  assert.deepEqual(reports, ["revoked: app_failed: App decided twice"]);
});

Deno.test("AppRun keeps to a refusal whatever the app sends after it", async () => {
  const { decision, reports } = await outcomeOf(async (_: Scope, __: TestReceive, send: TestSend) => {
    await send(REJECT);
    await send(ACCEPT);
  });
  assert.equal((decision as { kind: string }).kind, "rejected");
  assert.deepEqual(reports, ["App decided twice", "App threw Error: Cannot send: App decided twice"]);
});

Deno.test("AppRun reports an app that fails after it has accepted, and changes nothing", async () => {
  const { decision, reports } = await outcomeOf(async (_: Scope, receive: TestReceive, send: TestSend) => {
    await send(ACCEPT);
    await receive();
    throw new Error("late");
  });
  assert.deepEqual(decision, ACCEPTED);
  assert.deepEqual(reports, ["App threw Error: late"]);
});

Deno.test("AppRun reports an event that is no decision after the decision, and changes nothing", async () => {
  const { decision, reports } = await outcomeOf(
    async (_: Scope, __: TestReceive, send: (event: unknown) => unknown) => {
      await send(ACCEPT);
      await send({ type: "postgresql.close" });
    },
  );
  assert.deepEqual(decision, ACCEPTED);
  const late = "App sent an event after its decision";
  assert.deepEqual(reports, [late, `App threw Error: Cannot send: ${late}`]);
});

Deno.test("AppRun gives up when the signal says so, and takes nothing afterwards", async () => {
  const sending = Promise.withResolvers<void>();
  const { run, reports } = start(async (_: Scope, __: TestReceive, send: TestSend) => {
    await sending.promise;
    await send(ACCEPT);
  });
  const late = new StageError("app_failed", "too slow");
  const controller = new AbortController();
  const decided = run.decided(controller.signal);
  controller.abort(late);
  await assert.rejects(decided, late);
  sending.resolve();
  await turn();
  assert.deepEqual(reports, []);
});

Deno.test("AppRun refuses when the signal is there before it asks", async () => {
  const { run } = start((_: Scope, __: TestReceive, send: TestSend) => send(ACCEPT));
  await assert.rejects(run.decided(AbortSignal.abort(new StageError("server_draining", "x"))), /x/);
});

Deno.test("AppRun ends an app that only ever receives", async () => {
  const seen: string[] = [];
  const { run, reports } = start(async (_: Scope, receive: TestReceive, send: TestSend) => {
    await send(ACCEPT);
    while (true) seen.push((await receive()).type);
  });
  await turn();
  run.disconnect(END);
  await turn();
  assert.deepEqual(seen, ["postgresql.connect", "postgresql.disconnect"]);
  assert.deepEqual(reports, [], "to be ended by the end is no failure");
});

Deno.test("AppRun tells an app that has not decided that the connection is gone", async () => {
  const seen: string[] = [];
  const { run, reports } = start(async (_: Scope, receive: TestReceive, send: TestSend) => {
    seen.push((await receive()).type, (await receive()).type);
    await send(ACCEPT).catch((error) => seen.push(error.name));
  });
  run.disconnect(END);
  await turn();
  assert.deepEqual(seen, ["postgresql.connect", "postgresql.disconnect", "ConnectionOver"]);
  assert.deepEqual(reports, []);
});

Deno.test("AppRun reports an app that does not return after the end, and one that does it does not", async () => {
  const never = start(() => new Promise(() => {}), { graceMs: 1 });
  const slow = Promise.withResolvers<void>();
  const soon = start(() => slow.promise, { graceMs: 1 });
  never.run.disconnect(END);
  soon.run.disconnect(END);
  slow.resolve();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(never.reports, ["App has not returned 1 ms after postgresql.disconnect"]);
  assert.deepEqual(soon.reports, []);
});

Deno.test("AppRun serves two receivers in the order they asked", async () => {
  const seen: string[] = [];
  const { run } = start(async (_: Scope, receive: TestReceive, send: TestSend) => {
    const both = [receive(), receive()];
    await send(ACCEPT);
    for (const event of both) seen.push((await event).type);
  });
  await turn();
  run.disconnect(END);
  await turn();
  assert.deepEqual(seen, ["postgresql.connect", "postgresql.disconnect"]);
});

function sends(events: Readonly<Record<string, readonly [event: unknown, detail: string]>>) {
  return Object.fromEntries(
    Object.entries(events).map(([what, [event, detail]]) =>
      [what, [
        (_: Scope, __: TestReceive, send: (event: unknown) => unknown) => send(event),
        `App sent what cannot be used: TypeError: ${detail}`,
      ]] as const
    ),
  );
}

function raise(): never {
  throw new Error("trap");
}
