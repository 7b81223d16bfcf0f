/** For several routes on one address, which must be named before it is bound. */

/** An address of 127.0.0.1 that nobody listens on. */
export function freeAddress(): string {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return `127.0.0.1:${listener.addr.port}`;
}
