/** What the backend asks for while it authenticates, and what stands between its requests. */

import { type ErrorAnswer, ProtocolError, StageError } from "../errors.ts";
import { type AuthenticationRequest, decodeAuthentication } from "../wire/authentication.ts";
import { decodeErrorResponse, type ErrorResponseFields } from "../wire/error_response.ts";
import type { Message } from "../wire/message.ts";
import type { Parties } from "./peer.ts";

/** The backend has refused the session in its own words. */
export class BackendRefusal extends StageError {
  override readonly name = "BackendRefusal";
  readonly fields: ErrorResponseFields;

  constructor(fields: ErrorResponseFields) {
    super("backend_error", `Backend refused the session: ${fields.message} (${fields.sqlstate})`, {
      answer: quote(fields),
    });
    this.fields = fields;
  }

  /** Whether it says no to everybody at the moment: it is full, or on its way up or down. */
  get isForEverybody(): boolean {
    return /^(53|57P0[123])/.test(this.fields.sqlstate);
  }
}

/**
 * The backend's next Authentication message. NoticeResponse and, before the first request, NegotiateProtocolVersion are
 * passed on to the client.
 *
 * @throws {BackendRefusal} If it says no.
 * @throws {StageError} `backend_login_failed` if it says what has no place here, or leaves.
 */
export async function readRequest(
  parties: Parties,
  options: { readonly isFirst: boolean },
): Promise<AuthenticationRequest> {
  const { client } = parties;
  while (true) {
    const message = await readBackend(parties);
    switch (message.type) {
      case "R":
        return blamed(() => decodeAuthentication(message));
      case "E":
        throw new BackendRefusal(blamed(() => decodeErrorResponse(message.bytes)));
      case "v":
        if (!options.isFirst) throw unexpected(message);
        client.write(message.bytes);
        break;
      case "N":
        client.write(message.bytes);
        break;
      default:
        throw unexpected(message);
    }
  }
}

/**
 * The client's next message.
 *
 * @throws {ProtocolError} If it is larger than `limitBytes`.
 * @throws {StageError} `client_closed` or `backend_lost`.
 */
export async function readClient({ client, backend }: Parties, limitBytes: number): Promise<Message> {
  const message = await client.read(limitBytes);
  if (message !== null) return message;
  throw backend.hasLeft ? backendLost() : clientClosed();
}

/** Runs what may only fail because the backend broke the grammar: that is no fault of the client's. */
export function blamed<Value>(action: () => Value): Value {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new StageError("backend_login_failed", `Backend broke the protocol: ${error.message}`, {
      cause: error,
    });
  }
}

/** Refuses to go on with a backend that asks for what this mode does not answer. */
export function unanswered(request: AuthenticationRequest, expected: string): StageError {
  const what = request.kind === "other" ? `method ${request.code}` : METHODS[request.kind];
  return new StageError("backend_login_failed", `Backend asks for ${what}: expected ${expected}`);
}

async function readBackend({ client, backend }: Parties): Promise<Message> {
  let message: Message | null;
  try {
    message = await backend.read(MAX_BODY_BYTES);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new StageError("backend_login_failed", `Backend broke the protocol: ${error.message}`, {
      cause: error,
    });
  }
  if (message !== null) return message;
  throw backend.hasLeft ? backendLost() : client.hasLeft ? clientClosed() : backendLost();
}

function unexpected({ type }: Message): StageError {
  const code = type.charCodeAt(0);
  return new StageError("backend_login_failed", `Backend sent message type ${code} while authenticating`);
}

function backendLost(): StageError {
  return new StageError("backend_lost", "Backend closed the connection while authenticating");
}

function clientClosed(): StageError {
  return new StageError("client_closed", "Client closed the connection while authenticating");
}

/** The backend's own words, from a backend that was verified. A code that is no error would be taken for success. */
function quote({ sqlstate, message, detail, hint }: ErrorResponseFields): ErrorAnswer {
  return {
    sqlstate: /^0[012]/.test(sqlstate) ? "08006" : sqlstate,
    message,
    ...(detail !== undefined && { detail }),
    ...(hint !== undefined && { hint }),
  };
}

const METHODS = {
  ok: "nothing",
  cleartext_password: "a password in clear",
  md5_password: "an md5 password",
  sasl: "SASL mechanisms without SCRAM-SHA-256",
  sasl_continue: "the next step of an exchange",
  sasl_final: "the end of an exchange",
} as const;

/** An ErrorResponse here has at most what libpq takes (MAX_ERRLEN) and `decodeErrorResponse` reads. */
const MAX_BODY_BYTES = 10_000;
