/** HTTP, HTTPS and WebSocket clients for the admin server: Node's own and `ws`. */
import { type IncomingHttpHeaders, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { join } from "node:path";
import { WebSocket } from "ws";
import type { Leaf } from "./pki.ts";
import { eventually } from "./closing_lines.ts";
import { run } from "./process.ts";

/** How a request is made. */
export interface RequestOptions {
  /** @default "GET" */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Subprotocols a WebSocket offers. */
  readonly protocols?: readonly string[];
  /** Whether a WebSocket answers pings. @default true */
  readonly autoPong?: boolean;
  /** PEM of the CA of the server's certificate; present = TLS. */
  readonly ca?: string;
  /** The client certificate. */
  readonly leaf?: Pick<Leaf, "chainPem" | "keyPem">;
}

/** What came back. */
export interface Response {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Asks a port of 127.0.0.1 as `localhost`. */
export function ask(port: number, path: string, options: RequestOptions = {}): Promise<Response> {
  const { method = "GET", headers = {}, body, ca } = options;
  const send = ca === undefined ? httpRequest : httpsRequest;
  const answer = new Promise<Response>((resolve, reject) => {
    const target = { host: "127.0.0.1", port, path, method, agent: false, ...tlsOptions(options) };
    const request = send({ ...target, headers: { host: `localhost:${port}`, ...headers } }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => text += piece);
      response.on("error", reject);
      response.on(
        "end",
        () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    });
    request.on("error", reject);
    request.end(body);
  });
  return eventually(answer, `an answer to ${method} ${path}`);
}

/** As {@linkcode ask}, and reads the JSON of an answer that must be 200. */
// deno-lint-ignore no-explicit-any -- whatever the test expects of it
export async function askJson(port: number, path: string, options: RequestOptions = {}): Promise<any> {
  const { status, text } = await ask(port, path, options);
  if (status !== 200) throw new Error(`${path} answered ${status}: ${text}`);
  return JSON.parse(text);
}

/** A WebSocket that collects its messages. Dispose of it with `using`. */
export interface TestSocket extends Disposable {
  readonly messages: readonly string[];
  /** HTTP status of a refusal; 101 once it is open. */
  readonly opened: Promise<number>;
  /** Close code. */
  readonly closed: Promise<number>;
  readonly socket: WebSocket;
}

/** Opens a WebSocket to a port of 127.0.0.1 as `localhost`. */
export function openSocket(port: number, path: string, options: RequestOptions = {}): TestSocket {
  const scheme = options.ca === undefined ? "ws" : "wss";
  const socket = new WebSocket(`${scheme}://127.0.0.1:${port}${path}`, [...options.protocols ?? []], {
    ...tlsOptions(options),
    autoPong: options.autoPong ?? true,
    headers: { host: `localhost:${port}`, ...options.headers },
  });
  const messages: string[] = [];
  const opened = Promise.withResolvers<number>();
  const closed = Promise.withResolvers<number>();
  socket.on("message", (data) => messages.push(String(data)));
  socket.on("open", () => opened.resolve(101));
  socket.on("unexpected-response", (_request, response) => {
    opened.resolve(response.statusCode ?? 0);
    closed.resolve(0);
    response.destroy();
  });
  socket.on("error", () => opened.resolve(0));
  socket.on("close", (code) => closed.resolve(code));
  return {
    messages,
    socket,
    opened: eventually(opened.promise, `${path} to open`),
    closed: closed.promise,
    [Symbol.dispose]: () => socket.terminate(),
  };
}

/** GET by `openssl s_client` with further arguments, such as `["-sess_in", file]`; `body` is what follows the head. */
export async function opensslGet(
  port: number,
  path: string,
  args: readonly string[],
): Promise<{ readonly stdout: string; readonly status: number; readonly body: string }> {
  const input = `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
  const connection = ["-connect", `127.0.0.1:${port}`, "-servername", "localhost"];
  const { stdout } = await run("openssl", ["s_client", ...connection, "-nocommands", "-ign_eof", ...args], {
    input,
  });
  const [, status, body] = /HTTP\/1\.1 (\d{3})[^]*?\r\n\r\n(.*)/.exec(stdout) ?? [];
  return { stdout, status: Number(status ?? 0), body: body ?? "" };
}

/** A name in a temporary folder, which is removed with what is in it. */
export async function temporaryFile(): Promise<AsyncDisposable & { readonly path: string }> {
  const dir = await Deno.makeTempDir({ prefix: "pgtls-admin-" });
  return { path: join(dir, "file"), [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }) };
}

function tlsOptions({ ca, leaf }: RequestOptions): Record<string, unknown> {
  if (ca === undefined) return {};
  const own = leaf === undefined ? {} : { cert: leaf.chainPem, key: leaf.keyPem };
  return { ca, servername: "localhost", ...own };
}
