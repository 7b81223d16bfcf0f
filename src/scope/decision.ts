/**
 * What an app says about a session, read as the input of a stranger: an app passes on what clients sent it.
 *
 * Every property is read once, into values of our own, so that nothing can change between check and use.
 */

/** An app's decision, checked. */
export type Decision =
  | {
    readonly kind: "accepted";
    /** Name of the route whose backend to use; `null` = its own. Whether there is one has not been looked at. */
    readonly backend: string | null;
    /** User to log in as; `null` = the client's. */
    readonly user: string | null;
    /** Parameters to set, or with `null` to remove. */
    readonly parameters: ReadonlyMap<string, string | null>;
  }
  | {
    readonly kind: "rejected";
    /** For the client: one line. */
    readonly message: string;
    readonly sqlstate: string;
    /** For the log alone. */
    readonly detail: string | null;
  };

/**
 * Reads `postgresql.accept` or `postgresql.reject`.
 *
 * @throws {TypeError} Saying what is wrong with it: the type, a field, or a field that there is not.
 */
export function readDecision(event: unknown): Decision {
  const fields = fieldsOf(event, "an event");
  const type = fields.get("type");
  if (type === "postgresql.accept") return readAccept(only(fields, ["backend", "user", "parameters"]));
  if (type === "postgresql.reject") return readReject(only(fields, ["message", "sqlstate", "detail"]));
  throw new TypeError(`Cannot take ${nameOf(type)}: expected postgresql.accept or postgresql.reject`);
}

/** Whether it claims to be a decision, right or wrong. Never throws. */
export function isDecision(event: unknown): boolean {
  try {
    const { type } = event as { readonly type?: unknown };
    return type === "postgresql.accept" || type === "postgresql.reject";
  } catch {
    return false;
  }
}

function readAccept(fields: ReadonlyMap<string, unknown>): Decision {
  const backend = textOf(fields, "backend");
  const user = textOf(fields, "user");
  if (user !== null) checkName("user", user);
  const parameters = readParameters(fields.get("parameters"));
  return { kind: "accepted", backend, user, parameters };
}

function readReject(fields: ReadonlyMap<string, unknown>): Decision {
  const sqlstate = textOf(fields, "sqlstate") ?? DEFAULT_SQLSTATE;
  // 00, 01 and 02 are success, warning and "no data": a client could take the refusal for something else.
  if (!/^[0-9A-Z]{5}$/.test(sqlstate) || /^0[012]/.test(sqlstate)) {
    throw new TypeError('Cannot use field "sqlstate": expected five characters that stand for an error');
  }
  const message = textOf(fields, "message");
  const detail = textOf(fields, "detail");
  return {
    kind: "rejected",
    // Not checked but cleaned: it often quotes what a client sent, which must not make a failure of a refusal.
    message: message === null ? DEFAULT_MESSAGE : oneLine(message) || DEFAULT_MESSAGE,
    sqlstate,
    detail: detail === null ? null : detail.slice(0, MAX_TEXT_LENGTH),
  };
}

function readParameters(value: unknown): ReadonlyMap<string, string | null> {
  if (value === undefined) return NO_PARAMETERS;
  const fields = fieldsOf(value, 'field "parameters"');
  if (fields.size > MAX_PARAMETERS) {
    throw new TypeError(`Cannot set more than ${MAX_PARAMETERS} parameters at once`);
  }
  const parameters = new Map<string, string | null>();
  for (const [name, text] of fields) {
    if (!PARAMETER_NAME.test(name)) {
      throw new TypeError(`Cannot set parameter ${nameOf(name)}: expected a name`);
    }
    if (name.toLowerCase() === "user") {
      throw new TypeError('Cannot set parameter "user": expected field "user"');
    }
    // These are no settings, and PostgreSQL knows them in lower case only: "DATABASE" is something else to it.
    if (RESERVED.has(name.toLowerCase()) && name !== name.toLowerCase()) {
      throw new TypeError(`Cannot set parameter ${nameOf(name)}: expected it in lower case`);
    }
    if (text !== null) checkText(`parameter ${nameOf(name)}`, text);
    if (name === "database" && text !== null) checkName("database", text as string);
    parameters.set(name, text as string | null);
  }
  return parameters;
}

/** Own enumerable properties of a plain object, each read once. */
function fieldsOf(value: unknown, what: string): ReadonlyMap<string, unknown> {
  if (typeof value !== "object" || value === null) {
    throw new TypeError(`Cannot use ${what}: expected an object`);
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) {
    throw new TypeError(`Cannot use ${what}: expected a plain object`);
  }
  return new Map(Object.entries(value).filter(([, field]) => field !== undefined));
}

function only(fields: ReadonlyMap<string, unknown>, known: readonly string[]): ReadonlyMap<string, unknown> {
  for (const name of fields.keys()) {
    if (name !== "type" && !known.includes(name)) {
      throw new TypeError(`Cannot use field ${nameOf(name)}: expected ${known.join(", ")}`);
    }
  }
  return fields;
}

function textOf(fields: ReadonlyMap<string, unknown>, name: string): string | null {
  const value = fields.get(name);
  if (value === undefined) return null;
  checkText(`field "${name}"`, value);
  return value;
}

function checkText(what: string, value: unknown): asserts value is string {
  if (typeof value !== "string") throw new TypeError(`Cannot use ${what}: expected a string`);
  if (value.includes("\0")) throw new TypeError(`Cannot use ${what}: it holds NUL`);
  // Half a surrogate pair would be sent as another character than the one that was decided on.
  if (!value.isWellFormed()) throw new TypeError(`Cannot use ${what}: it is not well-formed Unicode`);
}

/** PostgreSQL cuts longer names off, and what is left may be the name of somebody else. */
function checkName(what: string, name: string): void {
  const bytes = new TextEncoder().encode(name).length;
  if (bytes > 0 && bytes <= MAX_NAME_BYTES) return;
  throw new TypeError(`Cannot use ${what} of ${bytes} bytes: expected 1 to ${MAX_NAME_BYTES}`);
}

function oneLine(text: string): string {
  return text.replace(UNSEEN, " ").slice(0, MAX_TEXT_LENGTH).trim();
}

function nameOf(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, MAX_SHOWN)) : `a ${typeof value}`;
}

/** NAMEDATALEN - 1 of PostgreSQL: the longest name of a role or database, in bytes. */
export const MAX_NAME_BYTES = 63;

const DEFAULT_MESSAGE = "connection refused by policy";
const DEFAULT_SQLSTATE = "28000";
const NO_PARAMETERS: ReadonlyMap<string, string | null> = new Map();

const MAX_PARAMETERS = 100;
const MAX_TEXT_LENGTH = 1_000;
const MAX_SHOWN = 64;

/** A setting of PostgreSQL, with the name of an extension in front where it has one. */
const PARAMETER_NAME = /^[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)*$/;

const RESERVED: ReadonlySet<string> = new Set(["database", "options", "replication"]);

/** Controls, invisible formatting such as bidirectional overrides, line and paragraph separators. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
