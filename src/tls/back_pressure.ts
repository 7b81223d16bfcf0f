/** What Deno's TLS sockets lack: a reader that stops must stop its sender. */

import type { Socket } from "node:net";

/**
 * Makes a TLS socket stop reading from the network while nobody reads from it.
 *
 * Deno 2.9's TLS handle stops handing over, but goes on receiving and decrypting into memory without bound (its
 * `readStop` says so: ext/node/ops/tls_wrap.rs, "Known limitation"), and an end that arrives in the meantime is lost
 * when the bytes kept back fill the reader again at once. Stopping the TCP handle below it prevents both.
 * Undocumented, so a runtime without such a handle is left as it is; held by slow_reader_test.ts.
 */
export function keepBackPressure(socket: Socket): void {
  const handle = (socket as Socket & { _handle?: TlsHandle | null })._handle;
  const tcp = handle?._nativeTcpHandle;
  if (!handle || !tcp) return;
  const { readStart, readStop } = handle;
  handle.readStop = () => {
    tcp.readStop();
    return readStop.call(handle);
  };
  handle.readStart = () => {
    const code = readStart.call(handle);
    tcp.readStart();
    return code;
  };
}

/** The part that stream handles have in common; calls return 0 or an error code. */
interface StreamHandle {
  readStart(): number;
  readStop(): number;
}

interface TlsHandle extends StreamHandle {
  readonly _nativeTcpHandle?: StreamHandle;
}
