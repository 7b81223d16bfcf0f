/**
 * A backend that lets everybody in and answers nothing else: prints its port, and ends when its standard input does.
 *
 * PostgreSQL starts a process for each connection, which takes more of the machine than pgtls does; where the machine
 * is to be free for pgtls, this one is behind it.
 */

/** Takes the StartupMessage, which comes in one piece on loopback, lets its sender in, and waits for its end. */
async function serve(connection: Deno.TcpConn): Promise<void> {
  using open = connection;
  open.setNoDelay();
  const buffer = new Uint8Array(1_024);
  try {
    await open.read(buffer);
    await open.write(WELCOME);
    // Terminate, or the end without it.
    await open.read(buffer);
  } catch {
    // Reset: an end as good as another.
  }
}

async function endWithInput(): Promise<never> {
  while (await Deno.stdin.read(new Uint8Array(1)) !== null);
  Deno.exit(0);
}

/** Type, length, body: https://www.postgresql.org/docs/current/protocol-message-formats.html */
function message(type: string, body: string): string {
  return `${type}\0\0\0${String.fromCharCode(4 + body.length)}${body}`;
}

// AuthenticationOk; what libpq wants to know of a server; BackendKeyData; ReadyForQuery.
const WELCOME = new TextEncoder().encode(
  message("R", "\0\0\0\0") +
    message("S", "server_version\x0018.0\0") +
    message("S", "client_encoding\0UTF8\0") +
    message("S", "standard_conforming_strings\0on\0") +
    message("K", "\0\0\0\x01\0\0\0\x01") +
    message("Z", "I"),
);

// At the end: the constants above are not there before.
if (import.meta.main) {
  endWithInput();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  console.log(listener.addr.port);
  for await (const connection of listener) serve(connection);
}
