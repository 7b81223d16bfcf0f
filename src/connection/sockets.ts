/** The sockets of one connection: whose bytes are counted, where last words go, what must not outlive it. */

import type { Socket } from "node:net";
import type { RelayedBytes } from "../observe/events.ts";
import type { Accepted } from "./listen.ts";
import type { Session } from "./session.ts";

/** Holds every socket until the relay takes them over; from then on the session answers for them. */
export class Sockets {
  readonly #headerBytes: number;
  #held: Held | null;
  #session: Session | null = null;
  #isTls = false;

  /** @param headerBytes Bytes in front that are not the client's. */
  constructor({ socket, headerBytes }: Pick<Accepted, "socket" | "headerBytes">) {
    this.#headerBytes = headerBytes;
    this.#held = { accepted: socket, client: null, backends: [], others: [] };
  }

  /** A socket that is closed with the connection. */
  own(socket: Socket): void {
    this.#held!.others.push(socket);
  }

  /** PostgreSQL is spoken with the client on `stream`, and on the accepted socket only if that is the same. */
  secured(stream: Socket): void {
    this.#isTls = stream !== this.#held!.accepted;
    this.#held!.client = stream;
  }

  connected(stream: Socket): void {
    this.#held!.backends.push(stream);
  }

  /** Lets go of them all. */
  handOver(session: Session): void {
    this.#session = session;
    this.#held = null;
  }

  /** The accepted socket, and the one on which PostgreSQL is spoken, once that is known. */
  get ends(): { readonly accepted: Socket | null; readonly client: Socket | null } {
    if (this.#session !== null) return { accepted: null, client: this.#session.client };
    return this.#held!;
  }

  /** Bytes received, without the TLS around them. */
  get bytes(): RelayedBytes {
    const { client, backend } = this.#session?.bytesRead ?? bytesRead(this.#held!);
    return { from_client: client - (this.#isTls ? 0 : this.#headerBytes), from_backend: backend };
  }

  /** A number that grows with every byte received, of TLS around them, too. */
  get activity(): number {
    if (this.#session !== null) return this.#session.activity;
    const { client, backend } = bytesRead(this.#held!);
    return client + backend + (this.#isTls ? this.#held!.accepted.bytesRead : 0);
  }

  /** Closes all of them at once. */
  destroy(): void {
    this.#session?.destroy();
    if (this.#held === null) return;
    const { accepted, client, backends, others } = this.#held;
    for (const socket of [accepted, ...others, ...backends]) socket.destroy();
    client?.destroy();
  }
}

interface Held {
  readonly accepted: Socket;
  /** `null` before it is secured, or known to be in clear. */
  client: Socket | null;
  readonly backends: Socket[];
  readonly others: Socket[];
}

function bytesRead({ accepted, client, backends }: Held): Session["bytesRead"] {
  return {
    client: (client ?? accepted).bytesRead,
    backend: backends.reduce((sum, each) => sum + each.bytesRead, 0),
  };
}
