/** One connection to the admin server: who is at its other end, and until when it may stay. */

import type { Socket } from "node:net";
import { PeerRejectedError } from "../errors.ts";
import type { ListenerMaterial } from "../tls/material.ts";
import { presentedChain, tlsFacts } from "../tls/peer.ts";
import { verifyClient } from "../tls/verify.ts";
import type { TLSSocket } from "node:tls";
import type { Occupant } from "./room.ts";
import type { Peer } from "./web_scope.ts";

/** The record of one connection. */
export class Visitor implements Occupant {
  peer: Peer;
  /** Why its client's certificate, or the lack of one, was refused; `null` for a client that may ask. */
  refusal: PeerRejectedError | null = null;
  readonly socket: Socket;
  /** `performance.now()` of its accept, in milliseconds. */
  readonly since = performance.now();
  readonly #expiry = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isUsed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    const { remoteAddress = "", remotePort = 0, localAddress = "", localPort = 0 } = socket;
    this.peer = { client: [remoteAddress, remotePort], server: [localAddress, localPort], tls: null };
  }

  /** `address:port` of the client. */
  get name(): string {
    const [address, port] = this.peer.client;
    return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  }

  get address(): string {
    return this.peer.client[0];
  }

  /** Whether it may ask, and has. */
  get isServed(): boolean {
    return this.#isUsed && this.refusal === null;
  }

  /** Aborted when the time it was allowed is over. */
  get signal(): AbortSignal {
    return this.#expiry.signal;
  }

  /** Ends the connection after this long unless told otherwise by then; `null` = never. */
  allow(milliseconds: number | null): void {
    clearTimeout(this.#timer);
    if (milliseconds === null) return;
    this.#timer = setTimeout(() => this.end("too slow"), milliseconds);
  }

  /** Ends the connection now. */
  end(why: string): void {
    this.#expiry.abort(new Error(why));
    this.socket.destroy();
  }

  /** Takes the one request a connection may carry; `false` for a second one. */
  use(): boolean {
    const isFirst = !this.#isUsed;
    this.#isUsed = true;
    return isFirst;
  }

  /** Decides who the client is, and takes the facts of its TLS connection. */
  identify(secured: TLSSocket, { leafDer, clientPolicy }: ListenerMaterial): void {
    try {
      const identity = verifyClient(presentedChain(secured), clientPolicy);
      const error = identity.kind === "anonymous" ? identity.error : null;
      const tls = tlsFacts(secured, {
        serverCert: leafDer,
        clientChain: identity.chain,
        clientCertError: error?.message ?? null,
      });
      this.peer = { ...this.peer, tls };
    } catch (error) {
      if (!(error instanceof PeerRejectedError)) throw error;
      this.refusal = error;
    }
  }
}
