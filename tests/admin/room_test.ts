import assert from "node:assert/strict";
import { type Occupant, whoGivesWay } from "../../src/admin/room.ts";

const NOW = 100_000;

Deno.test("whoGivesWay() chooses the oldest of the address that holds most", () => {
  const [one, two, three] = [occupant("a"), occupant("b"), occupant("b")];
  assert.equal(whoGivesWay([one, two, three], { address: "c", now: NOW }), two);
  assert.equal(whoGivesWay([one, two, three], { address: "a", now: NOW }), two);
});

Deno.test("whoGivesWay() leaves those alone that are being served", () => {
  const [served, waiting] = [{ ...occupant("a"), isServed: true }, occupant("b")];
  assert.equal(whoGivesWay([served, served, waiting], { address: "c", now: NOW }), waiting);
  assert.equal(whoGivesWay([served, served], { address: "c", now: NOW }), null);
});

Deno.test("whoGivesWay() gives a second to those of the newcomer's own address", () => {
  const young = occupant("a", NOW - 999);
  assert.equal(whoGivesWay([young, young], { address: "a", now: NOW }), null);
  const old = occupant("a", NOW - 1_000);
  assert.equal(whoGivesWay([old, young], { address: "a", now: NOW }), old);
});

function occupant(address: string, since = NOW): Occupant {
  return { address, since, isServed: false };
}
