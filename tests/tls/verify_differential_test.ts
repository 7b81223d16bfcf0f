import assert from "node:assert/strict";

import { basicConstraints, nameConstraints, names } from "../support/certificate_extensions.ts";
import { issue, makeIntermediate, makeRoot } from "../support/chain_builder.ts";
import { ChainGenerator, type GeneratedChain } from "../support/chain_generator.ts";
import { CONSTRAINT_BASES, SAN_NAMES } from "../support/chain_mutations.ts";
import { Random } from "../support/random.ts";
import { StartTlsOracle } from "../support/start_tls_oracle.ts";
import { backendVerdict } from "../support/verdict.ts";
import { TrustStore, TrustStoreError } from "../../src/tls/trust_store.ts";

/** Fixed, so that a failure repeats; set PGTLS_SEED to look elsewhere. */
const SEED = Number(Deno.env.get("PGTLS_SEED") ?? 20_260);
const CHAINS = Number(Deno.env.get("PGTLS_CHAINS") ?? 2_000);

Deno.test({
  name: `verifyBackend accepts no chain that Deno.startTls refuses, of ${CHAINS} (PGTLS_SEED=${SEED})`,
  fn: async () => {
    const random = new Random(SEED);
    const generator = new ChainGenerator(random);
    const oracle = await StartTlsOracle.listen();
    const tally = new Map<string, number>();
    try {
      for (let index = 0; index < CHAINS; index++) {
        const chain = index % 5 === 0 ? generator.sound() : generator.changed();
        const ours = judge(chain);
        tally.set(ours, (tally.get(ours) ?? 0) + 1);
        const context = `chain ${index} of seed ${SEED}: ${chain.changes.join("; ")}`;
        if (chain.changes.length === 0) assert.equal(ours, "accepted", context);
        if (ours === "accepted") await assertAccepted(oracle, chain, context);
      }
    } finally {
      await oracle.close();
    }
    assertVaried(tally);
  },
});

Deno.test("verifyBackend is never laxer than Deno.startTls about a name constraint, for every pair of base and name", async () => {
  const root = makeRoot("Root");
  const oracle = await StartTlsOracle.listen();
  let accepted = 0;
  try {
    for (const base of CONSTRAINT_BASES) {
      const local = { dNSName: "localhost" };
      for (const bases of [{ permitted: [base, local] }, { permitted: [base] }, { excluded: [base] }]) {
        const extensions = [basicConstraints(true), nameConstraints(bases)];
        const authority = makeIntermediate(root, "Bound", { extensions });
        for (const name of SAN_NAMES) {
          const leaf = issue({ subject: "leaf", issuer: authority, extensions: [names(local, name)] });
          const chain = { presented: [leaf, authority], trusted: [root], changes: [] };
          if (judge(chain) !== "accepted") continue;
          accepted += 1;
          await assertAccepted(oracle, chain, JSON.stringify({ bases, name }));
        }
      }
    }
  } finally {
    await oracle.close();
  }
  assert.ok(accepted > 100, `only ${accepted} pairs were accepted`);
});

function judge(chain: GeneratedChain): string {
  try {
    const trust = TrustStore.parse(chain.trusted.map((certificate) => certificate.pem).join(""));
    return backendVerdict(chain.presented, trust);
  } catch (error) {
    if (error instanceof TrustStoreError) return "unusable_bundle";
    throw error;
  }
}

async function assertAccepted(oracle: StartTlsOracle, chain: GeneratedChain, context: string): Promise<void> {
  const presented = chain.presented.map((certificate) => certificate.der);
  const opinion = await oracle.ask(presented, chain.presented[0]!.key, chain.trusted.map(({ pem }) => pem));
  assert.equal(opinion.kind, "accepted", `${context}: ${opinion.why}`);
}

/** A test that refuses everything, or nothing, shows nothing. */
function assertVaried(tally: ReadonlyMap<string, number>): void {
  const summary = JSON.stringify(Object.fromEntries(tally));
  const accepted = tally.get("accepted") ?? 0;
  assert.ok(accepted > CHAINS / 4, summary);
  assert.ok(CHAINS - accepted > CHAINS / 4, summary);
  assert.ok(tally.size >= 12, summary);
}
