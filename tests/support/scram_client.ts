/** A client of SCRAM made of bytes: logs in through a raw connection, as right or as wrong as a test asks. */
import assert from "node:assert/strict";
import { deriveKeys, makeNonce, sha256 } from "../../src/auth/hashing.ts";
import { type AuthenticationRequest, decodeAuthentication } from "../../src/wire/authentication.ts";
import { decodeErrorResponse, type ErrorResponseFields } from "../../src/wire/error_response.ts";
import { decodeMessage, HEAD_BYTES, type Message, messageBytes } from "../../src/wire/message.ts";
import { encodeSaslInitialResponse, encodeSaslResponse } from "../../src/wire/password_message.ts";
import { type ScramBinding, ScramClient } from "../../src/wire/scram_client.ts";
import { bytesOf, packetOf, PROTOCOL_3_0 } from "../wire/bytes.ts";
import type { PeerStream } from "./peer_stream.ts";

/** How {@linkcode logIn} logs in. */
export interface LoginOptions {
  readonly user?: string;
  readonly password: string;
  /** @default { kind: "unsupported" } */
  readonly binding?: ScramBinding;
  /** Bytes sent in the same write as the proof. */
  readonly behind?: Uint8Array;
  /** Told the last message of the client before it is sent. */
  readonly onFinal?: (final: Uint8Array) => void;
}

/** Reads one whole message. */
export async function readMessage(peer: PeerStream): Promise<Message> {
  const head = await peer.read(HEAD_BYTES);
  return decodeMessage(bytesOf(head, await peer.read(messageBytes(head, 100_000)! - HEAD_BYTES)));
}

/** Reads an Authentication message; an ErrorResponse in its place fails the test with its words. */
export async function readAuthentication(peer: PeerStream): Promise<AuthenticationRequest> {
  const message = await readMessage(peer);
  if (message.type === "E") assert.fail(decodeErrorResponse(message.bytes).message);
  assert.equal(message.type, "R");
  return decodeAuthentication(message);
}

/** Reads an ErrorResponse, and the end of the stream behind it. */
export async function readRefusal(peer: PeerStream): Promise<ErrorResponseFields> {
  const message = await readMessage(peer);
  assert.equal(message.type, "E", `expected an error, got ${JSON.stringify(message)}`);
  assert.equal((await peer.readAll()).length, 0);
  peer.end();
  return decodeErrorResponse(message.bytes);
}

/** A StartupMessage for a user of the database demo. */
export function startupOf(user: string): Uint8Array {
  return packetOf(PROTOCOL_3_0, "user\0", new TextEncoder().encode(user), "\0database\0demo\0\0");
}

/** Runs the whole login up to the client's proof; what comes back is for the test to read. */
export async function logIn(peer: PeerStream, options: LoginOptions): Promise<ScramClient> {
  const { user = "alice", password, binding = { kind: "unsupported" }, behind = bytesOf(), onFinal } =
    options;
  const scram = new ScramClient({ nonce: makeNonce(), binding, hashing: sha256 });
  await peer.send(startupOf(user));
  assert.equal((await readAuthentication(peer)).kind, "sasl");
  await peer.send(encodeSaslInitialResponse(scram.mechanism, scram.first()));
  const challenge = await readAuthentication(peer);
  assert.equal(challenge.kind, "sasl_continue");
  const keys = await deriveKeys(new TextEncoder().encode(password), scram.challenge(challenge.data));
  const final = scram.final(keys);
  onFinal?.(final);
  await peer.send(bytesOf(encodeSaslResponse(final), behind));
  return scram;
}

/** Reads the end of a login that succeeded, and checks the server's signature. */
export async function readSuccess(peer: PeerStream, scram: ScramClient): Promise<void> {
  const final = await readAuthentication(peer);
  assert.equal(final.kind, "sasl_final");
  assert.ok(scram.verify(final.data), "the server cannot sign");
  assert.deepEqual(await readAuthentication(peer), { kind: "ok" });
}
