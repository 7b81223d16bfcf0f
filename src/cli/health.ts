/**
 * `pgtls health HOST:PORT`: whether the pgtls whose admin server listens there is alive, for probes that run a program
 * (a container's HEALTHCHECK, Kubernetes' exec).
 *
 * Reads no file, so that one that is half-written cannot make a process that serves look dead. For the same reason
 * any HTTP answer will do, 403 included, and with `--tls` the certificate is not looked at: nothing is sent or
 * believed but that somebody answered.
 */

import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { parseTcpAddress } from "../config/address.ts";
import type { TcpAddress } from "../config/types.ts";
import { printable } from "../printable.ts";
import { EXIT } from "./report.ts";

/** Options of {@linkcode runHealth}. */
export interface HealthOptions {
  /** `host:port` or `[::1]:port` of the admin server. */
  readonly target: string;
  /** The admin server has TLS. */
  readonly tls?: boolean;
}

/** Asks, prints the answer's status line, and returns the exit code: 0 = alive. */
export async function runHealth({ target, tls = false }: HealthOptions): Promise<number> {
  const address = parseTcpAddress(target);
  if (address === null) {
    console.error(printable(`Cannot ask "${target}": expected host:port or [::1]:port of the admin server`));
    return EXIT.usage;
  }
  try {
    const head = await ask(address, tls);
    const [statusLine] = /^HTTP\/1\.1 \d{3} [ -~]*/.exec(head) ?? [];
    if (statusLine === undefined) throw new Error("its answer is not HTTP");
    console.log(statusLine);
    return EXIT.ok;
  } catch (error) {
    console.error(printable(`Could not ask "${target}": ${(error as Error).message}`));
    return EXIT.failed;
  }
}

/** The beginning of the answer to `GET /livez`. */
function ask({ host, port }: TcpAddress, tls: boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: Socket = tls
      ? connectTls({ host, port, ca: [], rejectUnauthorized: false })
      : connect(port, host);
    const settle = (finish: () => void) => {
      clearTimeout(timer);
      socket.destroy();
      finish();
    };
    const fail = (why: string) => settle(() => reject(new Error(why)));
    const timer = setTimeout(() => fail(`no answer within ${TIMEOUT_MS} ms`), TIMEOUT_MS);
    let head = "";
    socket.setEncoding("latin1");
    socket.on("error", (error) => fail(error.message));
    socket.on("end", () => fail("it closed the connection without an answer"));
    socket.on("data", (text) => {
      head += text;
      if (head.includes("\r\n") || head.length > MAX_STATUS_LINE) settle(() => resolve(head));
    });
    socket.write("GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  });
}

// Below the time-out of the probe that runs it, so that it is this program that says why.
const TIMEOUT_MS = 4_000;

const MAX_STATUS_LINE = 1_024;
