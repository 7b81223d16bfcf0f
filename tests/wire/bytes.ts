/** Byte literals for the tests of the grammar, and the two ways to feed a machine. */
import type { NegotiationMachine } from "../../src/wire/negotiation_machine.ts";
import { ProtocolError } from "../../src/errors.ts";

/** Joins numbers, strings (one byte a character, so `"\xff"` is the byte 0xff) and byte arrays. */
export function bytesOf(...parts: (number | string | Uint8Array)[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => {
    if (typeof part === "number") return [part];
    if (typeof part === "string") return Array.from(part, (character) => character.charCodeAt(0));
    return [...part];
  }));
}

/** A startup packet with the length word that belongs to `body`. */
export function packetOf(code: string, ...body: (number | string | Uint8Array)[]): Uint8Array {
  const rest = bytesOf(code, ...body);
  const length = 4 + rest.length;
  return bytesOf(0, 0, length >> 8, length & 0xff, rest);
}

/** A machine's events, and last the SQLSTATE of its ProtocolError as `"ProtocolError 08P01"` if it threw one. */
export function eventsOf(
  machine: NegotiationMachine<unknown>,
  chunks: readonly Uint8Array[],
): unknown[] {
  const events: unknown[] = [];
  try {
    for (const chunk of chunks) {
      machine.receive(chunk);
      drain(machine, events);
    }
    machine.eof();
    drain(machine, events);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    events.push(`ProtocolError ${error.sqlstate}`);
  }
  return events;
}

/** Each byte as a chunk of its own. */
export function oneByOne(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte));
}

function drain(machine: NegotiationMachine<unknown>, events: unknown[]): void {
  for (let event = machine.next(); event !== null; event = machine.next()) events.push(event);
}

/** 80877103: what a client sends to ask for TLS. */
export const SSL_REQUEST = bytesOf("\x00\x00\x00\x08\x04\xd2\x16\x2f");

/** 80877104: what a client with a Kerberos ticket sends first. */
export const GSSENC_REQUEST = bytesOf("\x00\x00\x00\x08\x04\xd2\x16\x30");

/** 80877102 with process ID 4711 and the 4-byte key of protocol 3.0. */
export const CANCEL_REQUEST = bytesOf("\x00\x00\x00\x10\x04\xd2\x16\x2e\x00\x00\x12\x67\xde\xad\xbe\xef");

/** Protocol 3.0, user alice, database orders. */
export const STARTUP_MESSAGE = bytesOf(
  "\x00\x00\x00\x24\x00\x03\x00\x00user\0alice\0database\0orders\0\0",
);

export const PROTOCOL_3_0 = "\x00\x03\x00\x00";
export const CANCEL_CODE = "\x04\xd2\x16\x2e";
