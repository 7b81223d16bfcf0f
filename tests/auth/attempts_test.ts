import assert from "node:assert/strict";
import { Attempts } from "../../src/auth/attempts.ts";
import { Guess } from "../../src/auth/guess.ts";
import { giveBackHeld, Limits, sharedLimits } from "../../src/limits/limits.ts";
import { bytesOf } from "../wire/bytes.ts";
import { inWorkers } from "../limits/workers.ts";

const OFFICE = "192.0.2.1:51514";

Deno.test("Attempts blocks a user after ten failures, and lets one more guess in every six seconds", () => {
  const { attempts, fail, pass } = make();
  for (let i = 0; i < 10; i++) {
    assert.equal(attempts.isBlocked(OFFICE, "alice"), false);
    fail(OFFICE, "alice");
  }
  assert.equal(attempts.isBlocked(OFFICE, "alice"), true);
  assert.equal(attempts.begin(OFFICE, "alice"), "blocked");
  assert.equal(attempts.isBlocked(OFFICE, "bob"), false);
  assert.equal(attempts.isBlocked("192.0.2.2:1", "alice"), false);
  pass(5_000);
  assert.equal(attempts.isBlocked(OFFICE, "alice"), true);
  pass(1_100);
  assert.equal(attempts.isBlocked(OFFICE, "alice"), false);
  fail(OFFICE, "alice");
  assert.equal(attempts.isBlocked(OFFICE, "alice"), true);
});

Deno.test("Attempts keeps answers back longer each time, up to two seconds, and forgets after a success", () => {
  const { fail, begin } = make();
  const delays = Array.from({ length: 8 }, () => fail(OFFICE, "alice"));
  assert.deepEqual(delays, [50, 100, 200, 400, 800, 1_600, 2_000, 2_000]);
  begin(OFFICE, "alice").succeed();
  assert.equal(fail(OFFICE, "alice"), 50);
});

Deno.test("Attempts forgets after a success once a minute: a client that logs in often makes nobody beside it free", () => {
  const { attempts, begin, fail, pass } = make();
  let guessed = 0;
  for (let second = 0; second < 600; second++) {
    const honest = attempts.begin(OFFICE, "alice");
    if (honest instanceof Guess) honest.succeed();
    for (; !attempts.isBlocked(OFFICE, "alice"); guessed++) fail(OFFICE, "alice");
    pass(1_000);
  }
  // Ten at once, ten a minute that run down, and ten a minute that are forgotten.
  assert.ok(guessed <= 10 + 2 * 100, `${guessed} guesses in ten minutes`);
  pass(60_000);
  for (let i = 0; i < 9; i++) fail(OFFICE, "alice");
  begin(OFFICE, "alice").succeed();
  assert.equal(fail(OFFICE, "alice"), 50, "an honest mistake is forgotten");
});

Deno.test("Attempts forgets for the user alone whose password was right, and nothing of the network's", () => {
  const { attempts, begin, fail } = make();
  for (let i = 0; i < 99; i++) fail(OFFICE, `user ${i % 11}`);
  for (let i = 0; i < 3; i++) begin(OFFICE, "mallory").succeed();
  assert.equal(fail(OFFICE, "user 0"), 2_000);
  assert.equal(attempts.isBlocked(OFFICE, "mallory"), true);
});

Deno.test("Attempts blocks an address that tries many users, for no longer than its count runs down", () => {
  const { attempts, fail, pass } = make();
  for (let i = 0; i < 100; i++) fail(OFFICE, `user ${i}`);
  assert.equal(attempts.isBlocked(OFFICE, "alice"), true);
  assert.equal(attempts.isBlocked("192.0.2.2:1", "alice"), false);
  pass(700);
  assert.equal(attempts.isBlocked(OFFICE, "alice"), false);
});

Deno.test("Attempts counts guesses under way, and lets no more begin than may fail", () => {
  const { attempts, begin, fail } = make();
  for (let i = 0; i < 3; i++) fail(OFFICE, "alice");
  const guesses = Array.from({ length: 7 }, () => begin(OFFICE, "alice"));
  assert.equal(attempts.begin(OFFICE, "alice"), "busy");
  assert.equal(attempts.isBlocked(OFFICE, "alice"), false, "nobody has failed yet");
  assert.ok(attempts.begin(OFFICE, "bob") instanceof Guess);
  guesses[0]!.withdraw();
  guesses[0]!.fail();
  const another = begin(OFFICE, "alice");
  for (const guess of [...guesses.slice(1), another]) guess.fail();
  assert.equal(attempts.begin(OFFICE, "alice"), "blocked");
});

Deno.test("Attempts takes many at once who ask the same for one, as long as nobody has failed", () => {
  const { attempts, fail } = make();
  const question = (password: string) => attempts.questionOf(bytesOf("orders"), bytesOf(password));
  const begin = (password: string) => attempts.begin(OFFICE, "alice", question(password));
  const same = Array.from({ length: 100 }, () => begin("secret") as Guess);
  const others = Array.from({ length: 9 }, (_, i) => begin(`guess ${i}`) as Guess);
  assert.ok([...same, ...others].every((guess) => guess instanceof Guess));
  assert.deepEqual([begin("another"), attempts.begin(OFFICE, "alice")], ["busy", "busy"]);
  assert.notEqual(attempts.begin("192.0.2.2:1", "alice", question("guess 0")), others[0]);
  for (const guess of others) guess.withdraw();
  fail(OFFICE, "alice");
  const own = Array.from({ length: 8 }, () => begin("secret"));
  assert.ok(own.every((guess) => guess instanceof Guess));
  assert.equal(begin("secret"), "busy", "somebody has failed, so each counts");
});

Deno.test("Attempts tells nobody whether a guess is like one under way who could not have made it otherwise", () => {
  const { attempts, begin } = make();
  const question = attempts.questionOf(bytesOf("secret"));
  assert.ok(attempts.begin(OFFICE, "alice", question) instanceof Guess);
  const others = Array.from({ length: 9 }, () => begin(OFFICE, "alice"));
  assert.equal(attempts.begin(OFFICE, "alice", question), "busy");
  others[0]!.withdraw();
  assert.ok(attempts.begin(OFFICE, "alice", question) instanceof Guess);
});

Deno.test("Attempts counts a wrong password once, however many ask for it at once, and keeps all answers back", () => {
  const { attempts } = make();
  const question = attempts.questionOf(bytesOf("wrong"));
  const guesses = Array.from({ length: 30 }, () => attempts.begin(OFFICE, "alice", question) as Guess);
  assert.deepEqual(new Set(guesses.map((guess) => guess.fail())), new Set([50]));
  const others = Array.from({ length: 9 }, (_, i) => {
    return attempts.begin(OFFICE, "alice", attempts.questionOf(bytesOf(`guess ${i}`))) as Guess;
  });
  assert.equal(attempts.begin(OFFICE, "alice", question), "busy", "one that has failed is no longer joined");
  for (const guess of others) guess.fail();
  assert.equal(attempts.begin(OFFICE, "alice", question), "blocked");
});

Deno.test("Attempts counts a password as under way until the last of those who ask for it has its answer", () => {
  const { attempts } = make();
  const begin = (i: number) => attempts.begin(OFFICE, "alice", attempts.questionOf(bytesOf(String(i))));
  const first = [begin(0), begin(0)] as Guess[];
  for (let i = 1; i < 10; i++) assert.ok(begin(i) instanceof Guess);
  for (const guess of [first[0]!, first[0]!]) guess.withdraw();
  assert.equal(begin(10), "busy");
  first[1]!.succeed();
  assert.ok(begin(10) instanceof Guess);
});

Deno.test("Attempts.questionOf() runs no parts together", () => {
  const { attempts } = make();
  const of = (...parts: string[]) => attempts.questionOf(...parts.map((part) => bytesOf(part)));
  const questions = [of("a", "b"), of("ab"), of("a", "b", ""), of("a1 b"), of("b", "a")];
  assert.equal(new Set(questions).size, questions.length);
  assert.equal(of("a", "b"), questions[0]);
});

Deno.test("Attempts of a network's many users under way at once are no more than may fail", () => {
  const { attempts, begin } = make();
  const guesses = Array.from({ length: 100 }, (_, i) => begin(OFFICE, `user ${i}`));
  assert.equal(attempts.begin(OFFICE, "alice"), "busy");
  assert.ok(attempts.begin("192.0.2.2:1", "alice") instanceof Guess);
  for (const guess of guesses) guess.succeed();
  assert.ok(attempts.begin(OFFICE, "alice") instanceof Guess);
});

Deno.test("Attempts are those of all isolates, and of one route; one that has died holds up nobody", () => {
  const memory = sharedLimits(2);
  const [one, two] = [0, 1].map((isolate) =>
    new Attempts(new Limits({ memory, isolate, now: () => 0 }), "orders")
  ) as [Attempts, Attempts];
  const guesses = Array.from({ length: 10 }, (_, i) => (i < 6 ? one : two).begin(OFFICE, "alice") as Guess);
  assert.deepEqual([one.begin(OFFICE, "alice"), two.begin(OFFICE, "alice")], ["busy", "busy"]);
  assert.ok(new Attempts(new Limits({ memory }), "billing").begin(OFFICE, "alice") instanceof Guess);
  giveBackHeld(memory, 0);
  for (const guess of guesses.slice(6)) guess.fail();
  const rest = Array.from({ length: 6 }, () => two.begin(OFFICE, "alice") as Guess);
  assert.equal(two.begin(OFFICE, "alice"), "busy");
  for (const guess of rest) guess.fail();
  const next = new Attempts(new Limits({ memory, isolate: 0, now: () => 0 }), "orders");
  assert.deepEqual([next.isBlocked(OFFICE, "alice"), two.isBlocked(OFFICE, "alice")], [true, true]);
});

Deno.test("Attempts at the same users by several isolates at once are ten for each, to the last one", async () => {
  const memory = sharedLimits(4);
  const begun = await inWorkers(4, memory, (isolate, memory, { Attempts, Limits }) => {
    const attempts = new Attempts(new Limits({ memory, isolate, now: () => 0 }), "orders");
    let begun = 0;
    for (let user = 0; user < 300; user++) {
      // Of networks of their own, which have a limit, too.
      for (let guess = attempts.begin(`10.0.${user >> 3}.1:1`, `user ${user}`); guess !== "blocked";) {
        if (guess !== "busy") {
          guess.fail();
          begun++;
        }
        guess = attempts.begin(`10.0.${user >> 3}.1:1`, `user ${user}`);
      }
    }
    return begun;
  });
  assert.equal(begun.reduce((one, other) => one + other), 300 * 10);
});

Deno.test("Attempts takes names that PostgreSQL cuts to the same for the same", () => {
  const { attempts, fail } = make();
  const long = "é".repeat(31) + "x";
  for (let i = 0; i < 10; i++) fail(OFFICE, `${long}${i}`);
  assert.equal(attempts.isBlocked(OFFICE, long), true);
});

function make() {
  let now = 0;
  const attempts = new Attempts(new Limits({ now: () => now }), "orders");
  const begin = (client: string, user: string): Guess => {
    const guess = attempts.begin(client, user);
    if (typeof guess === "string") assert.fail(`the guess is ${guess}`);
    return guess;
  };
  const fail = (client: string, user: string) => begin(client, user).fail();
  return { attempts, begin, fail, pass: (ms: number) => void (now += ms) };
}
