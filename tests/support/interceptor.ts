/** Somebody in the middle: ends the client's TLS with a certificate of his own and opens TLS to the real server. */
import { type FakeBackend, grantTls, startFakeBackend } from "./fake_backend.ts";
import type { PeerStream } from "./peer_stream.ts";
import type { Leaf } from "./pki.ts";
import { connectRawTls } from "./raw_client.ts";

/** Options of {@linkcode startInterceptor}. */
export interface InterceptorOptions {
  readonly leaf: Leaf;
  /** The port of the real server. */
  readonly port: number;
  /** Changes what the server says on its way to the client. */
  readonly edit?: (chunk: Uint8Array) => Uint8Array;
}

/** Listens on a free port; whoever connects there is relayed. */
export function startInterceptor(
  { leaf, port, edit = (chunk) => chunk }: InterceptorOptions,
): Promise<FakeBackend> {
  return startFakeBackend(async (tcp) => {
    const client = await grantTls(tcp, leaf);
    await using server = await connectRawTls(port, { alpn: ["postgresql"] });
    await Promise.all([copy(client, server, (chunk) => chunk), copy(server, client, edit)]);
  });
}

async function copy(
  from: PeerStream,
  to: PeerStream,
  edit: (chunk: Uint8Array) => Uint8Array,
): Promise<void> {
  for (let chunk = await from.readSome(); chunk !== null; chunk = await from.readSome()) {
    await to.send(edit(chunk));
  }
  to.end();
}
