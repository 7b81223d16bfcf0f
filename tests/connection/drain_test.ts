import assert from "node:assert/strict";
import { drainConnections, type Draining } from "../../src/connection/drain.ts";
import { describeFailure, type StageError } from "../../src/errors.ts";

/** A connection made of what drain looks at; it leaves when stopped, unless it is deaf. */
class FakeConnection implements Draining {
  readonly connections: Set<Draining>;
  hasSession = true;
  isIdle = true;
  isDeaf = false;
  isTalking = false;
  stoppedAt: number | null = null;
  sqlstate: string | undefined;
  destroyed = false;
  #bytes = 0;

  constructor(connections: Set<Draining>, properties: Partial<FakeConnection> = {}) {
    this.connections = connections;
    Object.assign(this, properties);
    connections.add(this);
  }

  /** One that talks has received another byte whenever it is looked at. */
  get activity(): number {
    if (this.isTalking) this.#bytes++;
    return this.#bytes;
  }

  stop(error: StageError): void {
    this.stoppedAt ??= performance.now();
    this.sqlstate = describeFailure(error).answer?.sqlstate;
    if (!this.isDeaf) this.connections.delete(this);
  }

  destroy(): void {
    this.destroyed = true;
    this.connections.delete(this);
  }
}

Deno.test("drainConnections() has nothing to wait for where nobody is connected", async () => {
  assert.equal(await drainConnections(new Set(), 2 ** 30), 0);
});

Deno.test("drainConnections() ends a silent idle session with 57P01 and a silent newcomer with 57P03", async () => {
  const connections = new Set<Draining>();
  const session = new FakeConnection(connections);
  const newcomer = new FakeConnection(connections, { hasSession: false });
  assert.equal(await drainConnections(connections, 60_000), 0);
  assert.equal(session.sqlstate, "57P01");
  assert.equal(newcomer.sqlstate, "57P03");
});

Deno.test("drainConnections() leaves a session that is never silent alone for the first half of the time", async () => {
  const connections = new Set<Draining>();
  const talking = new FakeConnection(connections, { isTalking: true });
  const start = performance.now();
  assert.equal(await drainConnections(connections, 1_600), 0);
  assert.ok(talking.stoppedAt! - start >= 800, `ended after ${talking.stoppedAt! - start} ms`);
});

Deno.test("drainConnections() cuts a busy session at the end of the time and counts it", async () => {
  const connections = new Set<Draining>();
  const busy = new FakeConnection(connections, { isIdle: false });
  const start = performance.now();
  assert.equal(await drainConnections(connections, 200), 1);
  assert.ok(busy.stoppedAt! - start >= 200);
  assert.equal(busy.destroyed, false);
});

Deno.test("drainConnections() destroys what does not obey", async () => {
  const connections = new Set<Draining>();
  const deaf = new FakeConnection(connections, { isIdle: false, isDeaf: true });
  assert.equal(await drainConnections(connections, 0), 1);
  assert.equal(deaf.destroyed, true);
});

Deno.test("drainConnections() does not count as cut who was told in time and is slow to hang up", async () => {
  const connections = new Set<Draining>();
  const slow = new FakeConnection(connections, { isDeaf: true });
  assert.equal(await drainConnections(connections, 700), 0);
  assert.equal(slow.destroyed, true);
});
