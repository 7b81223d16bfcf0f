import assert from "node:assert/strict";

import {
  basicConstraints,
  type ConstraintBase,
  extendedKeyUsage,
  type ExtensionSpec,
  type GeneralNameParts,
  nameConstraints,
  names,
  SERVER_AUTH,
} from "../support/certificate_extensions.ts";
import {
  encodeName,
  issue,
  type Issued,
  makeIntermediate,
  makeRoot,
  type NameSpec,
} from "../support/chain_builder.ts";
import { backendVerdict, clientVerdict, trustIn } from "../support/verdict.ts";

const root = makeRoot("Root");
const trust = trustIn(root);

/** A chain under a CA with these constraints; the leaf has these SANs, or only a subject. */
function constrained(
  bases: { permitted?: ConstraintBase[]; excluded?: ConstraintBase[] },
  leaf: { sans?: GeneralNameParts[]; subject?: NameSpec },
): Issued[] {
  const authority = makeIntermediate(root, "Bound CA", {
    extensions: [basicConstraints(true), nameConstraints(bases)],
  });
  return [leafOf(authority, leaf), authority];
}

function leafOf(issuer: Issued, leaf: { sans?: GeneralNameParts[]; subject?: NameSpec }): Issued {
  const extensions: ExtensionSpec[] = leaf.sans === undefined ? [] : [names(...leaf.sans)];
  return issue({ subject: leaf.subject ?? "leaf", issuer, extensions });
}

const LOCALHOST = { dNSName: "localhost" };
const V4 = { iPAddress: "10.1.2.3" };
const TEN = { ip: [10, 0, 0, 0, 255, 0, 0, 0] };
const V6_LOCAL = { ip: [0xfd, ...new Array(15).fill(0), 0xff, ...new Array(15).fill(0)] };

/** Constraint, SANs besides localhost, and what comes of it. localhost itself is always permitted. */
const CASES: readonly (readonly [
  string,
  { permitted?: ConstraintBase[]; excluded?: ConstraintBase[] },
  GeneralNameParts[],
  boolean,
])[] = [
  ["a host under a permitted domain", { permitted: [{ dNSName: "example.com" }] }, [{
    dNSName: "db.example.com",
  }], true],
  [
    "the permitted domain itself",
    { permitted: [{ dNSName: "example.com" }] },
    [{ dNSName: "EXAMPLE.com" }],
    true,
  ],
  ["a host beside a permitted domain", { permitted: [{ dNSName: "example.com" }] }, [{
    dNSName: "badexample.com",
  }], false],
  ["a host elsewhere", { permitted: [{ dNSName: "example.com" }] }, [{ dNSName: "db.example.org" }], false],
  ["a host under a domain with a dot", { permitted: [{ dNSName: ".example.com" }] }, [{
    dNSName: "db.example.com",
  }], true],
  ["the domain of a constraint with a dot", { permitted: [{ dNSName: ".example.com" }] }, [{
    dNSName: "example.com",
  }], false],
  ["a wildcard under a permitted domain", { permitted: [{ dNSName: "example.com" }] }, [{
    dNSName: "*.example.com",
  }], true],
  ["a wildcard wider than a permitted host", { permitted: [{ dNSName: "db.example.com" }] }, [{
    dNSName: "*.example.com",
  }], false],
  [
    "an excluded host",
    { excluded: [{ dNSName: "db.example.com" }] },
    [{ dNSName: "db.example.com" }],
    false,
  ],
  ["a host under an excluded one", { excluded: [{ dNSName: "example.com" }] }, [{
    dNSName: "db.example.com",
  }], false],
  ["a host beside an excluded one", { excluded: [{ dNSName: "example.com" }] }, [{
    dNSName: "example.org",
  }], true],
  ["a wildcard that could be an excluded host", { excluded: [{ dNSName: "db.example.com" }] }, [{
    dNSName: "*.example.com",
  }], false],
  ["a wildcard under an excluded domain with a dot", { excluded: [{ dNSName: ".example.com" }] }, [{
    dNSName: "*.example.com",
  }], false],
  ["any host when all are excluded", { excluded: [{ dNSName: "" }] }, [], false],
  ["a name that is no host name", { permitted: [{ dNSName: "example.com" }] }, [{
    dNSName: "a b.example.com",
  }], false],
  ["an address in a permitted range", { permitted: [TEN] }, [V4], true],
  [
    "an address outside a permitted range",
    { permitted: [{ ip: [10, 2, 0, 0, 255, 255, 0, 0] }] },
    [V4],
    false,
  ],
  ["an address in an excluded range", { excluded: [TEN] }, [V4], false],
  ["an IPv4 address when only IPv6 is permitted", { permitted: [V6_LOCAL] }, [V4], false],
  ["an IPv6 address in a permitted range", { permitted: [V6_LOCAL] }, [{ iPAddress: "fd00::1" }], true],
  ["an address when only hosts are constrained", { permitted: [{ dNSName: "example.com" }] }, [V4], true],
  ["an e-mail address under an e-mail constraint", { permitted: [{ rfc822Name: "example.com" }] }, [{
    rfc822Name: "a@example.com",
  }], false],
  ["an e-mail address excluded elsewhere", { excluded: [{ rfc822Name: "example.org" }] }, [{
    rfc822Name: "a@example.com",
  }], false],
  [
    "no e-mail address under an e-mail constraint",
    { permitted: [{ rfc822Name: "example.com" }] },
    [],
    true,
  ],
  ["a URI under a URI constraint", { permitted: [{ uniformResourceIdentifier: ".example.com" }] }, [{
    uniformResourceIdentifier: "https://a.example.com",
  }], false],
  [
    "a matching subject under a directory constraint",
    { permitted: [{ directoryName: encodeName("leaf") }] },
    [],
    false,
  ],
  ["a subject beside an excluded one", { excluded: [{ directoryName: encodeName("other") }] }, [], false],
  ["a registered identifier under one", { permitted: [{ registeredID: "1.2.3" }] }, [{
    registeredID: "1.2.3",
  }], false],
];

for (const [name, bases, sans, isAccepted] of CASES) {
  Deno.test(`verifyBackend ${isAccepted ? "accepts" : "refuses"} ${name}`, () => {
    const permitted = bases.permitted?.some((base) => "dNSName" in base)
      ? [...bases.permitted, LOCALHOST]
      : bases.permitted;
    const full = permitted === undefined ? bases : { ...bases, permitted };
    const chain = constrained(full, { sans: [LOCALHOST, ...sans] });
    assert.equal(backendVerdict(chain, trust), isAccepted ? "accepted" : "name_constraint");
  });
}

Deno.test("verifyBackend binds the CN by DNS constraints when it stands in for a SAN", () => {
  const elsewhere = { permitted: [{ dNSName: "example.com" }] };
  assert.equal(backendVerdict(constrained(elsewhere, { subject: "localhost" }), trust), "name_constraint");
  assert.equal(
    backendVerdict(constrained({ excluded: [LOCALHOST] }, { subject: "localhost" }), trust),
    "name_constraint",
  );
  assert.equal(
    backendVerdict(constrained({ permitted: [LOCALHOST] }, { subject: "localhost" }), trust),
    "accepted",
  );
});

Deno.test("verifyClient binds a CN that looks like a host name, and leaves user names alone", () => {
  const bases = { permitted: [{ dNSName: "example.com" }] };
  assert.equal(clientVerdict(constrained(bases, { subject: "alice" }), trust), "accepted");
  assert.equal(clientVerdict(constrained(bases, { subject: "db.example.org" }), trust), "name_constraint");
});

Deno.test("verifyClient refuses an e-mail address in the subject under an e-mail constraint", () => {
  const chain = constrained({ permitted: [{ rfc822Name: "example.com" }] }, {
    subject: [["CN", "alice"], ["emailAddress", "alice@example.com"]],
  });
  assert.equal(clientVerdict(chain, trust), "name_constraint");
});

Deno.test("verifyBackend applies the constraints of every CA above, the listed one included", () => {
  const bound = makeRoot("Bound Root", {
    extensions: [basicConstraints(true), nameConstraints({ permitted: [{ dNSName: "example.com" }] })],
  });
  const mid = makeIntermediate(bound, "Mid", {
    extensions: [basicConstraints(true), extendedKeyUsage(SERVER_AUTH)],
  });
  const leaf = leafOf(mid, { sans: [LOCALHOST] });
  assert.equal(backendVerdict([leaf, mid], trustIn(bound)), "name_constraint");
});

Deno.test("verifyBackend gives up when there are too many names and constraints to compare", () => {
  const bases = Array.from({ length: 400 }, (_, index) => ({ dNSName: `h${index}.example` }));
  const sans = Array.from({ length: 400 }, (_, index) => ({ dNSName: `n${index}.example` }));
  assert.equal(
    backendVerdict(constrained({ excluded: bases }, { sans: [LOCALHOST, ...sans] }), trust),
    "too_complex",
  );
});
