import assert from "node:assert/strict";
import { Deadline } from "../../src/connection/deadline.ts";
import { Startups } from "../../src/connection/startups.ts";

const HOUR_MS = 3_600_000;

Deno.test("Startups lets in up to its limit, then in the order of coming as places become free", async () => {
  await using room = new Room(2);
  const [a, b, c, d] = [1, 2, 3, 4].map(() => room.enter("192.0.2.1:1"));
  await settled();
  assert.deepEqual([a, b, c, d].map((guest) => guest!.state), ["in", "in", "waiting", "waiting"]);
  a!.leave();
  a!.leave();
  await settled();
  assert.deepEqual([c!.state, d!.state, room.startups.open], ["in", "waiting", 2]);
  c!.leave();
  await settled();
  assert.equal(d!.state, "in");
});

Deno.test("Startups gives a free place to the network that holds fewest", async () => {
  await using room = new Room(2);
  const flood = Array.from({ length: 10 }, (_, i) => room.enter(`[2001:db8::${i}]:1`));
  const other = room.enter("[2001:db8:0:1::1]:1");
  await settled();
  flood[0]!.leave();
  await settled();
  assert.equal(other.state, "in");
  assert.equal(flood[2]!.state, "waiting");
});

Deno.test("Startups makes the oldest of the network with most places give way, once it has had its grace", async () => {
  await using room = new Room(3, 50);
  const quiet = room.enter("198.51.100.1:1");
  const flood = [1, 2, 3].map((port) => room.enter(`192.0.2.1:${port}`));
  await until(() => flood[0]!.state === "evicted");
  assert.equal(quiet.state, "in", "older, but of a network that holds fewer");
  assert.deepEqual(flood.map(({ state }) => state), ["evicted", "in", "in"]);
  assert.match(flood[0]!.message!, /^Gave way to others after \d+ ms: 3 clients were in their start-up$/);
  flood[0]!.leave();
  await settled();
  assert.equal(room.startups.open, 3, "a place is given back once");
});

Deno.test("Startups forgets who stops waiting", async () => {
  await using room = new Room(1);
  const first = room.enter("192.0.2.1:1");
  const second = room.enter("192.0.2.2:1");
  const third = room.enter("192.0.2.3:1");
  await settled();
  second.deadline.abort(new Error("gone") as never);
  await settled();
  assert.equal(second.state, "evicted");
  first.leave();
  await settled();
  assert.equal(third.state, "in");
  const late = new Deadline(HOUR_MS, "startup_timeout", "late");
  late.abort(new Error("over") as never);
  await assert.rejects(room.startups.enter("192.0.2.4:1", late), /over/);
});

/** Guests, and the end of all their deadlines. */
class Room {
  readonly startups: Startups;
  readonly #guests: Guest[] = [];

  constructor(limit: number, graceMs = HOUR_MS) {
    this.startups = new Startups(limit, graceMs);
  }

  enter(client: string): Guest {
    const guest = new Guest(this.startups, client);
    this.#guests.push(guest);
    return guest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await settled();
    for (const guest of this.#guests) guest.deadline.abort(new Error("end of test") as never);
    for (const guest of this.#guests) guest.leave();
    assert.equal(this.startups.open, 0);
  }
}

class Guest {
  readonly deadline = new Deadline(HOUR_MS, "startup_timeout", "late");
  state: "waiting" | "in" | "evicted" = "waiting";
  message: string | undefined;
  leave: () => void = () => {};

  constructor(startups: Startups, client: string) {
    this.deadline.signal.addEventListener("abort", () => {
      this.state = "evicted";
      this.message = this.deadline.signal.reason.message;
    });
    startups.enter(client, this.deadline).then((leave) => {
      this.state = "in";
      this.leave = leave;
    }, () => {});
  }
}

function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 6_000 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(holds());
}
