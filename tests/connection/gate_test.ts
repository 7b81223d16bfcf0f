import assert from "node:assert/strict";
import type { DescriptorBudget } from "../../src/connection/descriptors.ts";
import { Gate } from "../../src/connection/gate.ts";
import type { Accepted } from "../../src/connection/listen.ts";
import type { Surroundings } from "../../src/connection/surroundings.ts";
import { until } from "../support/closing_lines.ts";

Deno.test("A gate that is closed turns away who does not fit, and lets no listener be bound anew for it", async () => {
  const [closed, open] = [gateWithoutRoom(), gateWithoutRoom()];
  closed.gate.close();
  for (const each of [closed, open]) {
    each.turnAway();
    each.room = true;
  }
  await until(() => open.renewed > 0, "the other gate's listeners");
  assert.equal(closed.renewed, 0);
  assert.deepEqual([closed.destroyed, open.destroyed], [1, 1]);
  open.gate.close();
});

Deno.test("A gate that is closed while its listeners turn out not to be bound does not try again", async () => {
  const [closed, open] = [gateWithoutRoom(), gateWithoutRoom()];
  closed.onRenewal = () => closed.gate.close();
  for (const each of [closed, open]) {
    each.isRefused = true;
    each.turnAway();
    each.room = true;
  }
  await until(() => open.renewed > 1, "the other gate's second attempt");
  assert.equal(closed.renewed, 1);
  open.gate.close();
});

/** A gate, and what has come of it. */
interface Tried {
  readonly gate: Gate;
  room: boolean;
  isRefused: boolean;
  renewed: number;
  destroyed: number;
  /** Called when its listeners are to be bound anew. */
  onRenewal(): void;
  /** Lets one come. */
  turnAway(): void;
}

function gateWithoutRoom(): Tried {
  const tried: Tried = {
    gate: new Gate({
      budget: { admits: () => tried.room, askForRenewal: () => {} } as unknown as DescriptorBudget,
      observe: () => {},
      renewListeners: async () => {
        tried.renewed++;
        tried.onRenewal();
        await Promise.resolve();
        if (tried.isRefused) throw new Error("taken");
      },
    }),
    room: false,
    isRefused: false,
    renewed: 0,
    destroyed: 0,
    onRenewal: () => {},
    turnAway: () => {
      const accepted = {
        socket: { destroy: () => tried.destroyed++ },
        endpoint: { routes: [{ config: { name: "orders" } }] },
      };
      tried.gate.serve(accepted as unknown as Accepted, {} as unknown as Surroundings);
    },
  };
  return tried;
}
