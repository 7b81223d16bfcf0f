/** A StartupMessage with some of its parameters changed. */
import { MAX_STARTUP_PACKET_BYTES, type StartupMessage } from "./startup_packet.ts";

/**
 * Encodes `packet` anew with `changes` made: a text sets a parameter, `null` removes it.
 *
 * Parameters that are not named stay byte for byte what they were, whatever their encoding, and keep their place; a
 * parameter that is set stands at the end. Names are those PostgreSQL would take for the same: settings are found
 * whatever the case of their letters, so every spelling of a changed one goes. With nothing to change the bytes are
 * the client's own.
 *
 * @throws {RangeError} If the packet becomes longer than 10,004 bytes, or a name or value cannot be written as UTF-8
 * without NUL, or a name is empty.
 * @see {@link https://www.postgresql.org/docs/current/protocol-message-formats.html | PostgreSQL, Message Formats}
 */
export function editStartupMessage(
  packet: StartupMessage,
  changes: ReadonlyMap<string, string | null>,
): Uint8Array {
  if (changes.size === 0) return packet.bytes;
  const names = new Set(Array.from(changes.keys(), foldCase));
  const kept = pairsOf(packet.bytes).filter((pair) => !names.has(foldCase(pair.name))).map(({ bytes }) =>
    bytes
  );
  const added = Array.from(changes, ([name, value]) => value === null ? NOTHING : encodePair(name, value));
  return assemble(packet.bytes, [...kept, ...added, TERMINATOR]);
}

interface Pair {
  readonly name: string;
  /** Name and value, each with its NUL. */
  readonly bytes: Uint8Array;
}

/** The layout has been checked when the packet was decoded. */
function pairsOf(packet: Uint8Array): Pair[] {
  const pairs: Pair[] = [];
  let offset = HEAD_BYTES;
  while (packet[offset] !== 0) {
    const nameEnd = packet.indexOf(0, offset);
    const end = packet.indexOf(0, nameEnd + 1) + 1;
    pairs.push({
      name: TEXT.decode(packet.subarray(offset, nameEnd)),
      bytes: packet.subarray(offset, end),
    });
    offset = end;
  }
  return pairs;
}

function encodePair(name: string, value: string): Uint8Array {
  if (name === "") throw new RangeError("Cannot encode StartupMessage: a parameter has no name");
  for (const text of [name, value]) {
    if (text.includes("\0") || !text.isWellFormed()) {
      throw new RangeError(
        `Cannot encode StartupMessage: parameter ${JSON.stringify(name)} is not plain UTF-8`,
      );
    }
  }
  return new TextEncoder().encode(`${name}\0${value}\0`);
}

function assemble(original: Uint8Array, parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, HEAD_BYTES);
  if (length > MAX_STARTUP_PACKET_BYTES) {
    throw new RangeError(
      `Cannot encode StartupMessage: ${length} bytes, expected at most ${MAX_STARTUP_PACKET_BYTES}`,
    );
  }
  const bytes = new Uint8Array(length);
  // The protocol version stays the client's.
  bytes.set(original.subarray(0, HEAD_BYTES));
  new DataView(bytes.buffer).setUint32(0, length);
  let offset = HEAD_BYTES;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** PostgreSQL folds ASCII letters alone when it looks for a setting (guc_name_compare). */
function foldCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Length word and protocol version. */
const HEAD_BYTES = 8;

const NOTHING = new Uint8Array(0);
const TERMINATOR = new Uint8Array(1);

const TEXT = new TextDecoder("utf-8", { ignoreBOM: true });
