/** TCP ports of 127.0.0.1. */

/**
 * A port nobody listens on at this moment; another program may take it before the caller does. Where the system says
 * which ports it gives to whoever asks for any (Linux), it is none of those: no connection is given it meanwhile.
 */
export function freePort(): number {
  const { from, to } = ownChoice();
  for (let tries = 0; tries < TRIES && from < to; tries++) {
    const port = from + Math.floor(Math.random() * (to - from));
    if (isPortFree(port)) return port;
  }
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}

/** Whether `port` can be listened on at this moment. */
export function isPortFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.PermissionDenied) return false;
    throw error;
  }
}

/** The wider of the two ranges that the system gives no port of; an empty one where that is not known. */
function ownChoice(): { readonly from: number; readonly to: number } {
  try {
    const [first, last] = Deno.readTextFileSync(EPHEMERAL).trim().split(/\s+/).map(Number) as [
      number,
      number,
    ];
    const [below, above] = [{ from: LOWEST, to: first }, { from: last + 1, to: HIGHEST + 1 }];
    return below.to - below.from >= above.to - above.from ? below : above;
  } catch {
    return { from: 0, to: 0 };
  }
}

const EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range";

// Below it are the ports of well-known services, which may be started later.
const LOWEST = 10_000;
const HIGHEST = 65_535;

const TRIES = 100;
