/** A second opinion on a chain: a real handshake of `Deno.startTls` (rustls-webpki) with a server that presents it. */

import { Buffer } from "node:buffer";
import * as net from "node:net";
import * as tls from "node:tls";

import { toPem } from "./chain_builder.ts";
import type { TestKey } from "./chain_builder.ts";

/** What came of one handshake. `unpresentable`: the server itself could not use the chain. */
export type Opinion = { readonly kind: "accepted" | "refused" | "unpresentable"; readonly why: string };

/** Presents chains, one after the other, on one port of 127.0.0.1. */
export class StartTlsOracle {
  readonly #server: net.Server;
  #current: tls.Server | null = null;

  private constructor(server: net.Server) {
    this.#server = server;
    server.on("connection", (socket) => {
      socket.on("error", () => socket.destroy());
      this.#current?.emit("connection", socket);
    });
  }

  static async listen(): Promise<StartTlsOracle> {
    const server = net.createServer();
    const oracle = new StartTlsOracle(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return oracle;
  }

  /** Whether a client that trusts `caPems` gets through to a server with this chain, as `localhost`. */
  async ask(chain: readonly Uint8Array[], key: TestKey, caPems: readonly string[]): Promise<Opinion> {
    let secure: tls.Server;
    try {
      const cert = Buffer.from(chain.map((der) => toPem(der)).join(""));
      secure = tls.createServer({ cert, key: key.privateKey.export({ type: "pkcs8", format: "pem" }) });
    } catch (error) {
      return { kind: "unpresentable", why: String(error) };
    }
    let serverError = "";
    secure.on("secureConnection", (socket) => socket.on("error", () => {}).end());
    secure.on("tlsClientError", (error) => serverError = String(error));
    this.#current = secure;
    const { port } = this.#server.address() as net.AddressInfo;
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    try {
      // startTls takes the connection over; closing the TLS one closes both.
      const client = await Deno.startTls(connection, { hostname: "localhost", caCerts: [...caPems] });
      try {
        await client.handshake();
        return { kind: "accepted", why: "" };
      } finally {
        client.close();
      }
    } catch (error) {
      const isOurs = serverError !== "" && !/alert|reset|eof/i.test(serverError);
      return { kind: isOurs ? "unpresentable" : "refused", why: `${error} ${serverError}` };
    } finally {
      this.#current = null;
    }
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}
