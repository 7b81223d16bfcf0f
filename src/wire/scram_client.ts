/** The client's role in SCRAM-SHA-256 and SCRAM-SHA-256-PLUS: a machine without I/O, for one login. */

import { ProtocolError } from "../errors.ts";
import { SCRAM_SHA_256, SCRAM_SHA_256_PLUS } from "./authentication.ts";
import { bindingData, END_POINT, type ScramHashing, type ScramKeys, xor } from "./scram.ts";
import {
  fromBinary,
  parseServerFinal,
  parseServerFirst,
  type ServerFirst,
  toBinary,
} from "./scram_messages.ts";

/**
 * What can be said of channel binding.
 *
 * `bound`: the hash of the server's certificate. `not_offered`: it could be bound, but the server did not offer it; a
 * server that did will refuse, which is how a stripped offer is found out. `unsupported`: there is no TLS, or no hash
 * for such a certificate.
 */
export type ScramBinding =
  | { readonly kind: "bound"; readonly endPointHash: Uint8Array }
  | { readonly kind: "not_offered" }
  | { readonly kind: "unsupported" };

/** Options of {@linkcode ScramClient}. */
export interface ScramClientOptions {
  /** Fresh for every login, printable and without a comma. */
  readonly nonce: string;
  readonly binding: ScramBinding;
  readonly hashing: ScramHashing;
}

/**
 * Sends `first`, takes the server's challenge with `challenge`, answers it with `final`, and checks what comes back
 * with `verify`. The keys are asked for only once salt and iterations are known.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc5802#section-5 | RFC 5802, section 5}
 */
export class ScramClient {
  readonly #options: ScramClientOptions;
  #serverFirst: { text: string; nonce: string } | null = null;
  #expected: Uint8Array | null = null;

  constructor(options: ScramClientOptions) {
    this.#options = options;
  }

  get mechanism(): string {
    return this.#options.binding.kind === "bound" ? SCRAM_SHA_256_PLUS : SCRAM_SHA_256;
  }

  /** client-first-message. Like libpq it names no user: PostgreSQL takes the one of the StartupMessage. */
  first(): Uint8Array {
    return fromBinary(this.#gs2Header + this.#bare);
  }

  /**
   * Takes the server-first-message.
   *
   * @throws {ProtocolError} If it is malformed, or the nonce is not this login's.
   */
  challenge(message: Uint8Array): ServerFirst {
    if (this.#serverFirst !== null) throw new Error("Cannot take a second server-first-message");
    const text = toBinary(message);
    const serverFirst = parseServerFirst(text);
    const { nonce } = this.#options;
    if (!serverFirst.nonce.startsWith(nonce) || serverFirst.nonce.length === nonce.length) {
      throw new ProtocolError("invalid SCRAM response: nonce does not match");
    }
    this.#serverFirst = { text, nonce: serverFirst.nonce };
    return serverFirst;
  }

  /** client-final-message, with the proof made of `keys`. */
  final({ clientKey, serverKey, storedKey = this.#options.hashing.hash(clientKey) }: ScramKeys): Uint8Array {
    if (this.#serverFirst === null || this.#expected !== null) {
      throw new Error("Cannot answer without a challenge");
    }
    const { hashing } = this.#options;
    const { text, nonce } = this.#serverFirst;
    const withoutProof = `c=${this.#channelBinding.toBase64()},r=${nonce}`;
    const authMessage = fromBinary(`${this.#bare},${text},${withoutProof}`);
    this.#expected = hashing.hmac(serverKey, authMessage);
    const proof = xor(clientKey, hashing.hmac(storedKey, authMessage));
    return fromBinary(`${withoutProof},p=${proof.toBase64()}`);
  }

  /**
   * Takes the server-final-message.
   *
   * @returns Whether the server has shown that it knows the verifier.
   * @throws {ProtocolError} If it is malformed, or an error.
   */
  verify(message: Uint8Array): boolean {
    if (this.#expected === null) throw new Error("Cannot verify a server before the proof was sent");
    return this.#options.hashing.isEqual(parseServerFinal(toBinary(message)), this.#expected);
  }

  get #gs2Header(): string {
    const { kind } = this.#options.binding;
    return kind === "bound" ? `p=${END_POINT},,` : kind === "not_offered" ? "y,," : "n,,";
  }

  get #bare(): string {
    return `n=,r=${this.#options.nonce}`;
  }

  get #channelBinding(): Uint8Array {
    const { binding } = this.#options;
    return bindingData(fromBinary(this.#gs2Header), binding.kind === "bound" ? binding.endPointHash : null);
  }
}
