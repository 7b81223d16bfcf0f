/**
 * Sessions share read buffers, and never a byte: forty at once on every combination of legs, each with bytes of its
 * own, both ways, with pauses, stopped readers, half-closes and resets in the middle of it.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { closingLines, eventually } from "../support/closing_lines.ts";
import { type FakeBackend, readPacket, startFakeBackend, WELCOME } from "../support/fake_backend.ts";
import { type PeerStream, textOf } from "../support/peer_stream.ts";
import { startTestProxy } from "../support/proxy.ts";
import { Random } from "../support/random.ts";
import { connectRaw, connectRawTls } from "../support/raw_client.ts";
import { ALL_LEGS, routeTo, speak } from "../support/two_legs.ts";
import { packetOf, PROTOCOL_3_0 } from "../wire/bytes.ts";

const SESSIONS = 40;

for (const seed of [1, 2]) {
  Deno.test(`40 sessions at once, each with bytes of its own, however they end (seed ${seed})`, async () => {
    const plans = Array.from({ length: SESSIONS }, (_, i) => new Plan(seed * 1_000 + i));
    await using backends = new AsyncDisposableStack();
    const started: FakeBackend[] = [];
    for (const { backend } of ALL_LEGS) {
      started.push(backends.use(
        await startFakeBackend(async (tcp) => {
          const peer = await speak(tcp, backend);
          const plan = plans[Number(/session-(\d+)/.exec(textOf(await readPacket(peer)))![1])]!;
          await peer.send(WELCOME);
          await exchange(peer, plan, "backend").then(plan.served.resolve, plan.served.reject);
        }),
      ));
    }
    await using proxy = await startTestProxy(
      ...ALL_LEGS.map(({ backend }, i) => routeTo(started[i]!.port, backend)),
    );
    await Promise.all(plans.map(async (plan, i) => {
      const leg = ALL_LEGS[i % ALL_LEGS.length]!.client;
      const port = proxy.ports[i % ALL_LEGS.length]!;
      await using client = leg === "TLS" ? await connectRawTls(port) : await connectRaw(port);
      await client.send(packetOf(PROTOCOL_3_0, `user\0session-${i}\0\0`));
      await client.read(WELCOME.length);
      await exchange(client, plan, "client");
      await eventually(plan.served.promise, `the backend of session ${i}, which ends by ${plan.ending}`);
    }));
    assert.equal((await closingLines(proxy)).length, SESSIONS);
  });
}

type Side = "client" | "backend";

/** What one session does. */
class Plan {
  readonly seed: number;
  readonly ending: "ends" | "client resets" | "backend resets";
  /** How much each side sends, if it gets so far. */
  readonly bytes: Readonly<Record<Side, number>>;
  /** Settles when the backend's half is done. */
  readonly served = Promise.withResolvers<void>();

  constructor(seed: number) {
    const random = new Random(seed);
    this.seed = seed;
    this.ending = random.pick(["ends", "ends", "client resets", "backend resets"] as const);
    const amount = () => random.oneIn(4) ? random.below(2_000) : random.below(12 << 20);
    this.bytes = { client: amount(), backend: amount() };
    this.served.promise.catch(() => {});
  }

  /** Byte `offset` and those behind it of what a side sends: no two sessions, and no two places, are alike. */
  piece(side: Side, offset: number, size: number): Uint8Array {
    const bytes = new Uint8Array(size);
    const salt = Math.imul(this.seed * 2 + (side === "client" ? 1 : 0), 0x9e3779b1);
    for (let i = 0; i < size; i++) bytes[i] = Math.imul((offset + i) ^ salt, 0x85ebca6b) >>> 19;
    return bytes;
  }
}

/** Sends what the plan has for `side`, checks what comes from the other, both at once. */
async function exchange(peer: PeerStream, plan: Plan, side: Side): Promise<void> {
  await Promise.all([send(peer, plan, side), check(peer, plan, side)]);
}

async function send(peer: PeerStream, plan: Plan, side: Side): Promise<void> {
  const random = new Random(plan.seed ^ (side === "client" ? 0x5eed : 0xbeef));
  const total = plan.bytes[side];
  const resetAt = plan.ending === `${side} resets` ? random.below(total + 1) : Infinity;
  for (let sent = 0; sent < total && !peer.isClosed;) {
    if (sent >= resetAt) return peer.reset();
    const size = Math.min(total - sent, 1 + random.below(random.oneIn(4) ? 300_000 : 3_000));
    const taken = peer.send(plan.piece(side, sent, size));
    if (random.oneIn(3)) await taken;
    if (random.oneIn(20)) await sleep(random.below(40));
    sent += size;
  }
  if (resetAt < Infinity) return peer.reset();
  peer.end();
}

async function check(peer: PeerStream, plan: Plan, side: Side): Promise<void> {
  const random = new Random(plan.seed ^ (side === "client" ? 0xdead : 0xfeed));
  const sender = side === "client" ? "backend" : "client";
  let received = 0;
  // A reader that is not there yet: everything between it and its sender is full.
  if (random.oneIn(2)) await sleep(random.below(600));
  while (true) {
    const bytes = await peer.readSome();
    if (bytes === null) break;
    // Between two messages pgtls says itself that the backend is lost.
    if (
      received === 0 && plan.ending === "backend resets" && side === "client" && bytes[0] === ERROR_RESPONSE
    ) return;
    const expected = plan.piece(sender, received, bytes.length);
    // Not deepEqual: the difference of two large arrays takes minutes to print.
    const isSame = Buffer.compare(bytes, expected) === 0;
    assert.ok(isSame, `session ${plan.seed}: not what was sent, behind byte ${received}`);
    received += bytes.length;
    assert.ok(received <= plan.bytes[sender], `session ${plan.seed}: more than was sent`);
    if (random.oneIn(4)) await sleep(random.below(6));
    if (random.oneIn(50)) await sleep(random.below(100));
  }
  if (plan.ending === "ends") assert.equal(received, plan.bytes[sender], `session ${plan.seed}: bytes lost`);
}

/** `E`; no session's stream begins with it. */
const ERROR_RESPONSE = 0x45;

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
