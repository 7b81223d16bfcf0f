/**
 * The socket on which a service manager hears of its service.
 *
 * The protocol is one datagram of `NAME=value` lines to the AF_UNIX address in `NOTIFY_SOCKET`. Deno sends such
 * datagrams with `--unstable-net`; it has no name for an unnamed socket, so ours has an abstract one that nobody else
 * can guess, and needs no file.
 *
 * @see {@link https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html | sd_notify(3)}
 */

/** Sends notifications, one after the other. */
export class NotifySocket {
  readonly #socket: Deno.DatagramConn;
  readonly #to: Deno.UnixAddr;
  readonly #report: (problem: string) => void;
  #queue: Promise<void> = Promise.resolve();
  #waiting = 0;
  #hasFailed = false;

  private constructor(socket: Deno.DatagramConn, path: string, report: (problem: string) => void) {
    this.#socket = socket;
    this.#to = { transport: "unixpacket", path };
    this.#report = report;
  }

  /**
   * Opens a socket to `address`, a value of `NOTIFY_SOCKET`: an absolute path, or `@` and an abstract name.
   *
   * @param report Is told once, in a sentence, that notifications do not arrive; pgtls goes on without.
   * @returns `null` where there is nobody to notify, or no way to.
   */
  static open(address: string | undefined, report: (problem: string) => void): NotifySocket | null {
    if (address === undefined || address === "") return null;
    const refuse = (why: string) => report(`Cannot notify the service manager at "${address}": ${why}`);
    if (!/^[/@]./.test(address)) {
      refuse("expected NOTIFY_SOCKET to be an absolute path, or @ and a name");
      return null;
    }
    if (Deno.listenDatagram === undefined) {
      refuse("expected pgtls to be started with --unstable-net");
      return null;
    }
    try {
      const own = `\0pgtls-notify-${crypto.randomUUID()}`;
      const socket = Deno.listenDatagram({ transport: "unixpacket", path: own });
      return new NotifySocket(socket, address.replace(/^@/, "\0"), (why) => refuse(why));
    } catch (error) {
      refuse(messageOf(error));
      return null;
    }
  }

  /** Whether what was sent last has not been taken yet. */
  get isBusy(): boolean {
    return this.#waiting > 0;
  }

  /** Sends `fields` in one datagram, after everything sent before. Resolves when it is taken, or lost. */
  send(fields: Readonly<Record<string, string | number>>): Promise<void> {
    const lines = Object.entries(fields).map(([name, value]) => `${name}=${oneLine(String(value))}`);
    const datagram = new TextEncoder().encode(lines.join("\n"));
    this.#waiting++;
    this.#queue = this.#queue.then(async () => {
      try {
        await this.#socket.send(datagram, this.#to);
      } catch (error) {
        if (!this.#hasFailed) this.#report(messageOf(error));
        this.#hasFailed = true;
      } finally {
        this.#waiting--;
      }
    });
    return this.#queue;
  }

  /** Resolves when everything sent so far has been taken, or lost. */
  flush(): Promise<void> {
    return this.#queue;
  }

  close(): void {
    this.#socket.close();
  }
}

/** A newline would begin another field. */
function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\u0000-\u001f\u007f]+/g, " ");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
