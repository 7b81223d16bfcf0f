/**
 * Mode `passthrough`: the password is between client and backend. Only one thing is looked at, and only where it can
 * happen: SCRAM-SHA-256-PLUS binds a login to the certificate the client saw, which is not the backend's.
 */

import { ProtocolError, StageError } from "../errors.ts";
import { decodeAuthentication, encodeAuthentication, SCRAM_SHA_256_PLUS } from "../wire/authentication.ts";
import type { Message } from "../wire/message.ts";
import { decodeSaslInitialResponse } from "../wire/password_message.ts";
import type { Parties } from "./peer.ts";

/**
 * Why channel binding cannot work: the client has no TLS to bind to (so it may not even be offered), or sees another
 * certificate than the backend's (so it may be offered, because a client told otherwise would report a downgrade).
 */
export type BindingConflict = "client_in_clear" | "other_certificate";

/**
 * Passes messages on until it is known whether the client binds its login. Whatever it does not understand is passed
 * on as well, and ends it: the relay takes over from there.
 *
 * @throws {StageError} `channel_binding_conflict` if the client does bind; nothing of that has reached the backend.
 */
export async function passLogin(parties: Parties, conflict: BindingConflict): Promise<void> {
  const { client, backend } = parties;
  const offer = await passOffer(parties);
  if (offer === null) return;
  if (conflict === "client_in_clear") return client.write(withoutPlus(offer.mechanisms));
  client.write(offer.message.bytes);
  const choice = await readLeniently(parties, "client");
  if (choice === null) return;
  if (bindsLogin(choice)) {
    throw new StageError(
      "channel_binding_conflict",
      "Client binds its login to the listener's certificate, and the backend shows another: " +
        'expected auth.mode = "scram", one certificate on both legs, or channel_binding=disable on the client',
    );
  }
  backend.write(choice.bytes);
}

/** Passes on what the backend says up to an offer of SCRAM-SHA-256-PLUS, which it holds back; `null` without one. */
async function passOffer(parties: Parties): Promise<Offer | null> {
  while (true) {
    const message = await readLeniently(parties, "backend");
    if (message === null) return null;
    const mechanisms = message.type === "R" ? offeredMechanisms(message) : [];
    if (mechanisms.includes(SCRAM_SHA_256_PLUS)) return { message, mechanisms };
    parties.client.write(message.bytes);
    if (!PRELIMINARIES.has(message.type)) return null;
  }
}

interface Offer {
  readonly message: Message;
  readonly mechanisms: readonly string[];
}

/** The next message; `null` after passing on what there is, when it is none of ours to read. */
async function readLeniently(parties: Parties, side: keyof Parties): Promise<Message | null> {
  const [from, to] = side === "client"
    ? [parties.client, parties.backend]
    : [parties.backend, parties.client];
  let message: Message | null = null;
  try {
    message = await from.read(MAX_BODY_BYTES);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
  if (message === null) to.write(from.takeUnread());
  return message;
}

function offeredMechanisms(message: Message): readonly string[] {
  try {
    const request = decodeAuthentication(message);
    return request.kind === "sasl" ? request.mechanisms : [];
  } catch {
    return [];
  }
}

function withoutPlus(mechanisms: readonly string[]): Uint8Array {
  const left = mechanisms.filter((name) => name !== SCRAM_SHA_256_PLUS);
  return encodeAuthentication({ kind: "sasl", mechanisms: left });
}

function bindsLogin(choice: Message): boolean {
  try {
    return decodeSaslInitialResponse(choice).mechanism === SCRAM_SHA_256_PLUS;
  } catch {
    return false;
  }
}

/** NegotiateProtocolVersion and NoticeResponse may come before the Authentication message. */
const PRELIMINARIES: ReadonlySet<string> = new Set(["v", "N"]);

/** What libpq takes in these places (MAX_ERRLEN); an offer of mechanisms has some 40 bytes. */
const MAX_BODY_BYTES = 30_000;
