/** The server's role in SCRAM-SHA-256 and SCRAM-SHA-256-PLUS: a machine without I/O, for one login. */

import { ProtocolError } from "../errors.ts";
import { SCRAM_SHA_256, SCRAM_SHA_256_PLUS } from "./authentication.ts";
import { bindingData, END_POINT, KEY_BYTES, type ScramHashing, type ScramVerifier, xor } from "./scram.ts";
import {
  type ClientFirst,
  fromBinary,
  parseClientFinal,
  parseClientFirst,
  toBinary,
} from "./scram_messages.ts";

/** Options of {@linkcode ScramServer}. */
export interface ScramServerOptions {
  /** For a user that does not exist: one that no key fits. The exchange is the same, and ends as a wrong password. */
  readonly verifier: ScramVerifier;
  /** Fresh for every login, printable and without a comma; the client's comes in front of it. */
  readonly nonce: string;
  /** The hash of the certificate the client saw; `null` = channel binding is not offered. */
  readonly endPointHash: Uint8Array | null;
  readonly hashing: ScramHashing;
}

/** What a right proof is worth. */
export interface ScramProven {
  /** The key the proof was made of: whoever holds it can log in with this verifier. */
  readonly clientKey: Uint8Array;
  /** server-final-message: shows the client that the server knows the verifier. */
  readonly serverFinal: Uint8Array;
}

/**
 * Offers `mechanisms`, answers the client's first message with `first`, and judges its last with `final`.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc5802#section-5 | RFC 5802, section 5}
 */
export class ScramServer {
  readonly #options: ScramServerOptions;
  #exchange: { clientFirst: ClientFirst; serverFirst: string; nonce: string } | null = null;
  #isOver = false;

  constructor(options: ScramServerOptions) {
    this.#options = options;
  }

  /** What is offered, the better one first. */
  get mechanisms(): readonly string[] {
    return this.#options.endPointHash === null ? [SCRAM_SHA_256] : [SCRAM_SHA_256_PLUS, SCRAM_SHA_256];
  }

  /**
   * Takes the client-first-message.
   *
   * @returns The server-first-message.
   * @throws {ProtocolError} If the mechanism was not offered, the message is malformed, or its flag does not fit the
   *   mechanism; 28000 if somebody kept the offer of channel binding from the client.
   */
  first(mechanism: string, message: Uint8Array): Uint8Array {
    if (this.#exchange !== null || this.#isOver) throw new Error("Cannot take a second client-first-message");
    if (!this.mechanisms.includes(mechanism)) {
      throw new ProtocolError("client selected an invalid SASL authentication mechanism");
    }
    const clientFirst = parseClientFirst(toBinary(message));
    this.#checkFlag(mechanism, clientFirst);
    const { verifier, nonce } = this.#options;
    const combined = clientFirst.nonce + nonce;
    const serverFirst = `r=${combined},s=${verifier.salt.toBase64()},i=${verifier.iterations}`;
    this.#exchange = { clientFirst, serverFirst, nonce: combined };
    return fromBinary(serverFirst);
  }

  /**
   * Takes the client-final-message. Works once: a proof is good for one login.
   *
   * @returns `null` if the proof is wrong.
   * @throws {ProtocolError} If it is malformed or of another exchange; 28000 if the client saw another certificate.
   */
  final(message: Uint8Array): ScramProven | null {
    const exchange = this.#exchange;
    if (exchange === null || this.#isOver) throw new Error("Cannot take a client-final-message now");
    this.#isOver = true;
    const { clientFirst, serverFirst, nonce } = exchange;
    const { hashing, verifier } = this.#options;
    const { channelBinding, nonce: returned, proof, withoutProof } = parseClientFinal(toBinary(message));
    this.#checkBinding(clientFirst, channelBinding);
    if (returned !== nonce) throw new ProtocolError("invalid SCRAM response: nonce does not match");
    if (proof.length !== KEY_BYTES) {
      throw new ProtocolError("malformed SCRAM message: expected client-final-message");
    }
    const authMessage = fromBinary(`${clientFirst.bare},${serverFirst},${withoutProof}`);
    const clientKey = xor(proof, hashing.hmac(verifier.storedKey, authMessage));
    proof.fill(0);
    if (!hashing.isEqual(hashing.hash(clientKey), verifier.storedKey)) {
      clientKey.fill(0);
      return null;
    }
    const signature = hashing.hmac(verifier.serverKey, authMessage);
    return { clientKey, serverFinal: fromBinary(`v=${signature.toBase64()}`) };
  }

  /** RFC 5802 section 6: `p` goes with PLUS and with nothing else; `y` against an offer of PLUS is a downgrade. */
  #checkFlag(mechanism: string, { flag }: ClientFirst): void {
    const isBound = mechanism === SCRAM_SHA_256_PLUS;
    if (typeof flag === "object") {
      if (!isBound) {
        throw new ProtocolError(
          "client selected SCRAM-SHA-256, but its message includes channel binding data",
        );
      }
      if (flag.type === END_POINT) return;
      throw new ProtocolError("unsupported SCRAM channel-binding type");
    }
    if (isBound) {
      throw new ProtocolError(
        "client selected SCRAM-SHA-256-PLUS, but its message does not include channel binding data",
      );
    }
    if (flag === "y" && this.#options.endPointHash !== null) {
      throw new ProtocolError(
        "SCRAM channel binding negotiation error: the client supports channel binding but thinks the server does not",
        INVALID_AUTHORIZATION,
      );
    }
  }

  #checkBinding({ flag, gs2Header }: ClientFirst, channelBinding: Uint8Array): void {
    const { endPointHash, hashing } = this.#options;
    const header = fromBinary(gs2Header);
    if (typeof flag !== "object" || endPointHash === null) {
      if (hashing.isEqual(channelBinding, header)) return;
      throw new ProtocolError("unexpected SCRAM channel-binding attribute in client-final-message");
    }
    if (hashing.isEqual(channelBinding, bindingData(header, endPointHash))) return;
    throw new ProtocolError("SCRAM channel binding check failed", INVALID_AUTHORIZATION);
  }
}

const INVALID_AUTHORIZATION = "28000";
