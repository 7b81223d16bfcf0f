/** Reads `[[proxy.allow]]`. Whatever could mean "everybody" by mistake is an error. */

import type { Problem } from "../errors.ts";
import { describeFound } from "./found.ts";
import {
  isTable,
  problemAt,
  type RawTable,
  readTable,
  type TablePlace,
  type TableReading,
} from "./read_table.ts";
import { allowKeys, type listenerKeys } from "./schema.ts";

type Rule = TableReading<typeof allowKeys>;

/** What the reader needs of its surroundings. */
export interface AllowContext {
  /** Of the route. */
  readonly place: TablePlace;
  readonly problems: Problem[];
  /** The route's listener as far as it could be read. */
  readonly listener: TableReading<typeof listenerKeys>["values"] | undefined;
}

/** Reports everything that is wrong with the rules of a route, `raw` being its table. */
export function readAllow(raw: RawTable, context: AllowContext): void {
  if (!Object.hasOwn(raw, "allow")) return;
  const { place, problems } = context;
  const found = raw["allow"];
  if (!Array.isArray(found)) {
    const what = isTable(found) ? "[proxy.allow]" : describeFound(found);
    problems.push(
      problemAt(place, "allow", `Cannot use ${what}: expected [[proxy.allow]], in double brackets`),
    );
  } else if (found.length === 0) {
    const message = "Cannot use an empty list: expected at least one rule, or this key to be absent";
    problems.push(problemAt(place, "allow", message));
  }
  const rules: readonly unknown[] = Array.isArray(found) ? found : isTable(found) ? [found] : [];
  rules.forEach((rule, index) => readRule(rule, { ...context, place: below(place, index) }));
}

function readRule(raw: unknown, { place, problems, listener }: AllowContext): void {
  if (!isTable(raw)) {
    problems.push({
      ...place,
      message: `Cannot use ${describeFound(raw)}: expected a table, [[proxy.allow]]`,
    });
    return;
  }
  const before = problems.length;
  const rule = readTable(allowKeys, raw, { place, problems });
  if (Object.keys(raw).length === 0) {
    const keys = Object.keys(allowKeys).join(", ");
    problems.push({
      ...place,
      message: `Cannot use an empty rule, which would allow everybody: expected one of ${keys}`,
    });
  }
  if (problems.length > before) return;
  if (listener !== undefined) requireCertificates(rule, listener);
  checkCapture(rule);
}

function requireCertificates(rule: Rule, { tls_enabled, mtls }: NonNullable<AllowContext["listener"]>): void {
  for (const key of CERTIFICATE_KEYS) {
    if (!rule.has(key)) continue;
    if (tls_enabled === false) {
      rule.report(
        key,
        "Cannot use on a plaintext listener: nobody has a certificate there, expected tls_enabled = true",
      );
    } else if (mtls === false) {
      rule.report(
        key,
        'Cannot use without client certificates: mtls is false, expected mtls = true or "optional"',
      );
    }
  }
}

/** `\1` must have one meaning, whichever certificate comes. */
function checkCapture(rule: Rule): void {
  if (!rule.values.users?.some(({ parts }) => parts.length > 1)) return;
  const capturing = CERTIFICATE_KEYS.filter((key) => rule.values[key]?.some(({ groups }) => groups > 0));
  const [key, other] = capturing;
  if (key === undefined) {
    rule.report("users", `Cannot use \\1: expected a regex with a group in ${CERTIFICATE_KEYS.join(", ")}`);
  } else if (other !== undefined) {
    rule.report("users", `Cannot use \\1: ${capturing.join(" and ")} have groups, expected one key that has`);
  } else if (!rule.values[key]!.every(({ groups }) => groups > 0)) {
    rule.report(
      key,
      "Cannot use without a group what \\1 of users stands for: expected a regex with a group",
    );
  }
}

function below(place: TablePlace, index: number): TablePlace {
  return { ...place, path: `${place.path}.allow[${index}]` };
}

const CERTIFICATE_KEYS = ["client_cert_name", "client_cert_cn", "client_cert_san"] as const;
