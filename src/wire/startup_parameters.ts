/** The body of a StartupMessage: names and values. */
import { ProtocolError } from "../errors.ts";

/**
 * Decodes the body of a StartupMessage: pairs of NUL-terminated strings, ended by one NUL that is the last byte.
 *
 * Names and values are decoded as UTF-8. PostgreSQL does not know their encoding yet, so bytes that are not UTF-8 are
 * allowed: here each faulty sequence reads as U+FFFD, and the packet's own bytes are what goes to the backend. Names that
 * become equal that way count as one name.
 *
 * No name may stand twice. PostgreSQL takes the last of several; refusing them means that what was authorized here
 * can never differ from what the backend uses.
 *
 * @param body The packet from byte 8 to its end.
 * @throws {ProtocolError} If the layout is broken or a name repeated (08P01), or there is no user (28000).
 * @see {@link https://www.postgresql.org/docs/current/protocol-message-formats.html | PostgreSQL, Message Formats}
 */
export function decodeStartupParameters(body: Uint8Array): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  let offset = 0;
  for (;;) {
    const nameEnd = findNul(body, offset);
    if (nameEnd === offset) break;
    const valueEnd = findNul(body, nameEnd + 1);
    const name = decodeText(body.subarray(offset, nameEnd));
    if (parameters.has(name)) throw new ProtocolError("startup packet names a parameter more than once");
    parameters.set(name, decodeText(body.subarray(nameEnd + 1, valueEnd)));
    offset = valueEnd + 1;
  }
  if (offset !== body.length - 1) throw brokenLayout();
  // An empty user counts as none, as in PostgreSQL.
  if (!parameters.get("user")) {
    throw new ProtocolError("no PostgreSQL user name in startup packet", INVALID_AUTHORIZATION);
  }
  return parameters;
}

function findNul(body: Uint8Array, from: number): number {
  const position = body.indexOf(0, from);
  if (position === -1) throw brokenLayout();
  return position;
}

function brokenLayout(): ProtocolError {
  return new ProtocolError(
    "invalid layout of startup packet: expected pairs of strings and one terminator as last byte",
  );
}

function decodeText(bytes: Uint8Array): string {
  return TEXT.decode(bytes);
}

/** `ignoreBOM` keeps a leading U+FEFF: dropped, the user `"\uFEFFalice"` would be authorized as `"alice"`. */
const TEXT = new TextDecoder("utf-8", { ignoreBOM: true });

/** SQLSTATE of a connection that names nobody. */
const INVALID_AUTHORIZATION = "28000";
