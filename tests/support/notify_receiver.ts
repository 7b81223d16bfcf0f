/** The other end of NOTIFY_SOCKET: an AF_UNIX datagram socket as a service manager binds it. */
import { join } from "node:path";

/** A service manager that only listens. Dispose of it with `await using`. */
export interface NotifyReceiver extends AsyncDisposable {
  /** The value of NOTIFY_SOCKET. */
  readonly address: string;
  /** The next datagram, as its fields. */
  next(): Promise<Record<string, string>>;
  /** The next datagram with this field; others before it are dropped. */
  nextWith(field: string): Promise<Record<string, string>>;
}

/** Binds a path in a folder of its own, or with `isAbstract` a name without one. */
export async function startNotifyReceiver(
  options: { readonly isAbstract?: boolean } = {},
): Promise<NotifyReceiver> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-notify-" });
  const name = `pgtls-test-${crypto.randomUUID()}`;
  const path = options.isAbstract ? `\0${name}` : join(dir, "notify");
  const socket = Deno.listenDatagram({ transport: "unixpacket", path });
  const next = async () => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`Waited ${GUARD_MS} ms for a notification`)), GUARD_MS);
    });
    try {
      const [datagram] = await Promise.race([socket.receive(), late]);
      return fieldsOf(new TextDecoder().decode(datagram));
    } finally {
      clearTimeout(timer);
    }
  };
  return {
    address: options.isAbstract ? `@${name}` : path,
    next,
    async nextWith(field) {
      while (true) {
        const fields = await next();
        if (field in fields) return fields;
      }
    },
    async [Symbol.asyncDispose]() {
      socket.close();
      await Deno.remove(dir, { recursive: true });
    },
  };
}

function fieldsOf(text: string): Record<string, string> {
  return Object.fromEntries(
    text.split("\n").map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}

/** Only a guard against a test that hangs. */
const GUARD_MS = 60_000;
