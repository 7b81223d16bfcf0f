import assert from "node:assert/strict";
import { advance, renderDiagram, type State, type Step, TRANSITIONS } from "../../src/connection/state.ts";

const STEPS = [...new Set(Object.values(TRANSITIONS).flatMap((steps) => Object.keys(steps)))] as Step[];

Deno.test("advance() walks the life of a connection in order", () => {
  const life: Step[] = [
    "negotiation.completed",
    "route.chosen",
    "handshake.completed",
    "peer.verified",
    "startup.received",
    "connection.authorized",
    "backend.connected",
    "session.opened",
    "connection.closed",
  ];
  assert.equal(life.reduce<State>(advance, "accepted"), "closed");
});

Deno.test("advance() lets no state reach the backend without handshake, verification and authorization", () => {
  for (const from of ["accepted", "negotiated", "routed", "secured", "identified", "started"] as const) {
    assert.throws(() => advance(from, "backend.connected"), /Cannot take step "backend.connected" in state/);
  }
});

Deno.test("advance() throws on every step the table does not list", () => {
  for (const [state, steps] of Object.entries(TRANSITIONS)) {
    for (const step of STEPS.filter((step) => !(step in steps))) {
      assert.throws(() => advance(state as State, step), new RegExp(`in state "${state}"`));
    }
  }
});

Deno.test("docs/connection_states.md shows the table as it is", async () => {
  const page = await Deno.readTextFile(new URL("../../docs/connection_states.md", import.meta.url));
  assert.ok(page.includes(renderDiagram()), "expected the diagram printed by renderDiagram()");
});
