/** A port in front of another one whose connections a test can cut, as a network that goes away does. */
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** The port. Dispose of it with `await using`. */
export interface CuttablePort extends AsyncDisposable {
  readonly port: number;
  /** Cuts every connection and, until `mend`, every new one. */
  cut(): void;
  mend(): void;
}

/** Opens a free port of 127.0.0.1 that leads to `target`, also of 127.0.0.1. */
export async function openCuttablePort(target: number): Promise<CuttablePort> {
  const sockets = new Set<Socket>();
  let isCut = false;
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  };
  const cutAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((client) => {
    keep(client);
    if (isCut) return void client.destroy();
    const onward = connect(target, "127.0.0.1");
    keep(onward);
    client.pipe(onward).pipe(client);
    client.on("close", () => onward.destroy());
    onward.on("close", () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      isCut = true;
      cutAll();
    },
    mend() {
      isCut = false;
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      cutAll();
      await closed;
    },
  };
}
