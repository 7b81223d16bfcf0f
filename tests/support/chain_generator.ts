/** Random chains: sound hierarchies of many shapes, and the same with something changed. */

import {
  type CertificateSpec,
  issue,
  type Issued,
  type KeyKind,
  leafExtensions,
  reissue,
  testKey,
} from "./chain_builder.ts";
import {
  basicConstraints,
  extendedKeyUsage,
  type ExtensionSpec,
  keyUsage,
  KU,
  SERVER_AUTH,
} from "./certificate_extensions.ts";
import { mutate } from "./chain_mutations.ts";
import type { Random } from "./random.ts";

/** A chain to judge, as a server called `localhost` would present it. */
export interface GeneratedChain {
  /** Leaf first, the rest in any order and with strangers among them. */
  readonly presented: readonly Issued[];
  readonly trusted: readonly Issued[];
  /** What is wrong or different; empty for a sound chain. */
  readonly changes: readonly string[];
}

/** Makes chains from a supply of sound hierarchies: signing is most of the work, so only what changes is signed again. */
export class ChainGenerator {
  readonly #random: Random;
  readonly #hierarchies: readonly (readonly Issued[])[];

  constructor(random: Random) {
    this.#random = random;
    this.#hierarchies = DEPTHS.map((depth) => hierarchy(random, depth));
  }

  /** A chain with nothing wrong. */
  sound(): GeneratedChain {
    return this.#present(this.#random.pick(this.#hierarchies), []);
  }

  /** A chain with one to three changes, each of which may or may not matter. */
  changed(): GeneratedChain {
    const random = this.#random;
    const path = [...random.pick(this.#hierarchies)];
    const changes: string[] = [];
    for (let left = 1 + random.below(3); left > 0; left--) {
      // The root less often: most changes to it end in a bundle that cannot be used.
      const index = random.oneIn(6) ? 0 : 1 + random.below(path.length - 1);
      const signer = (path[index - 1] ?? path[index]!).key.kind;
      const { spec, what } = mutate(path[index]!.spec, random, signer);
      path[index] = issue(spec);
      const below = path[index + 1];
      // A change of name must reach those who name it.
      if (below !== undefined && spec.subject !== below.spec.issuer?.spec.subject) {
        path[index + 1] = reissue(below, { issuer: path[index]! });
      }
      changes.push(`${index === path.length - 1 ? "leaf" : `CA ${index}`}: ${what}`);
    }
    if (random.oneIn(12) && path.length > 2) {
      path.splice(1 + random.below(path.length - 2), 1);
      changes.push("one is missing");
    }
    return this.#present(path, changes);
  }

  #present(path: readonly Issued[], changes: readonly string[]): GeneratedChain {
    const random = this.#random;
    const root = path[0]!;
    const leaf = path[path.length - 1]!;
    const strangers = random.oneIn(5) ? strangersTo(path, random) : [];
    const rootToo = random.oneIn(4) ? [root] : [];
    const presented = [leaf, ...random.shuffle([...path.slice(1, -1), ...strangers, ...rootToo])];
    const trusted = random.oneIn(6) ? random.shuffle([root, namesake(root, random)]) : [root];
    return { presented, trusted, changes };
  }
}

function hierarchy(random: Random, depth: number): Issued[] {
  const specs = [
    rootSpec(random),
    ...Array.from({ length: depth }, (_, index) => issuerSpec(random, depth - index)),
    leafSpec(random),
  ];
  const path: Issued[] = [];
  for (const spec of specs) {
    const issuer = path[path.length - 1];
    path.push(issue(issuer === undefined ? spec : { ...spec, issuer }));
  }
  return path;
}

function rootSpec(random: Random): CertificateSpec {
  return {
    subject: [["O", "Example"], ["CN", "Root"]],
    key: anyKey(random),
    extensions: authority(random, null),
  };
}

function issuerSpec(random: Random, below: number): CertificateSpec {
  const pathLength = random.oneIn(3) ? below - 1 + random.below(2) : null;
  return { subject: `CA ${below}`, key: anyKey(random), extensions: authority(random, pathLength) };
}

function leafSpec(random: Random): CertificateSpec {
  const key = anyKey(random);
  return { subject: "leaf", key, extensions: random.shuffle(leafExtensions()) };
}

function authority(random: Random, pathLength: number | null): ExtensionSpec[] {
  const extensions = [pathLength === null ? basicConstraints(true) : basicConstraints(true, pathLength)];
  if (random.oneIn(2)) extensions.push(keyUsage(KU.keyCertSign, KU.cRLSign));
  if (random.oneIn(4)) extensions.push(extendedKeyUsage(SERVER_AUTH));
  return random.shuffle(extensions);
}

/** Certificates of the same names that lead nowhere, or round in circles. */
function strangersTo(path: readonly Issued[], random: Random): Issued[] {
  const authorities = path.slice(0, -1);
  return Array.from({ length: 1 + random.below(2) }, () => {
    const subject = random.pick(authorities);
    const issuer = random.pick(authorities);
    const extensions = authority(random, null);
    const key = random.oneIn(2) ? subject.key : anyKey(random);
    return issue({ subject: subject.spec.subject, key, issuer, extensions });
  });
}

/** Another root of the same name. */
function namesake(root: Issued, random: Random): Issued {
  return issue({
    subject: root.spec.subject,
    key: testKey("P-256", `namesake ${random.below(3)}`),
    extensions: [basicConstraints(true)],
  });
}

/** From a supply, and mostly of the kinds that sign fast: making keys and RSA signatures would be most of the work. */
function anyKey(random: Random): ReturnType<typeof testKey> {
  const kind: KeyKind = random.oneIn(24)
    ? "rsa2048"
    : random.oneIn(12)
    ? "P-384"
    : random.pick(["P-256", "ed25519"]);
  return testKey(kind, `supply ${random.below(kind === "rsa2048" ? 1 : 12)}`);
}

/** CA certificates between root and leaf, one hierarchy each; six is the most there may be. */
const DEPTHS: readonly number[] = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 6, 6];
