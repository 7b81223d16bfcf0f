/** Shipped app: one line for each session, when it is over: who asked for what, what was decided, what became of it. */

import { LogWriter } from "../../observe/log_writer.ts";
import { escapeInvisible } from "../../printable.ts";
import type { Middleware } from "../compose.ts";
import { describeError } from "../run_app.ts";
import type {
  PostgresqlDisconnect,
  PostgresqlScope,
  PostgresqlSend,
  ReceiveEvent,
  SendEvent,
} from "../types.ts";

/**
 * Writes a line of JSON about each session.
 *
 * @param write Takes one line, without its newline. @default standard output, in the background: a reader that stalls
 *   holds up nothing, and is told how many lines it missed
 */
export function audit(write: (line: string) => void = writeToStdout): Middleware {
  return (next) => async (scope, receive, send) => {
    if (scope.type !== "postgresql") return void await next(scope, receive, send);
    const end = Promise.withResolvers<PostgresqlDisconnect>();
    const watch = async (): Promise<ReceiveEvent> => {
      const event = await receive();
      if (event.type === "postgresql.disconnect") end.resolve(event);
      return event;
    };
    let decision: PostgresqlSend | null = null;
    const note = async (event: SendEvent) => {
      await send(event);
      if (event.type === "postgresql.accept" || event.type === "postgresql.reject") decision ??= event;
    };
    const failure = await outcomeOf(async () => void await next(scope, watch, note));
    const written = untilEnd(watch, end.promise).then((end) =>
      write(lineOf({ scope, decision, failure, end }))
    );
    if (failure === null && decision !== null) return await written;
    // The refusal must not wait for the end that it brings.
    written.catch(() => {});
    if (failure !== null) throw failure.error;
  };
}

async function outcomeOf(act: () => Promise<void>): Promise<{ readonly error: unknown } | null> {
  try {
    await act();
    return null;
  } catch (error) {
    return { error };
  }
}

/** The app behind may have received the end, may be waiting for it still, or may have left that to us. */
async function untilEnd(
  receive: () => Promise<ReceiveEvent>,
  end: Promise<PostgresqlDisconnect>,
): Promise<PostgresqlDisconnect> {
  while (true) {
    const event = await Promise.race([end, receive().catch(() => end)]);
    if (event.type === "postgresql.disconnect") return event;
  }
}

interface Audited {
  readonly scope: PostgresqlScope;
  readonly decision: PostgresqlSend | null;
  readonly failure: { readonly error: unknown } | null;
  readonly end: PostgresqlDisconnect;
}

function lineOf({ scope, decision, failure, end }: Audited): string {
  const { tls } = scope.extensions;
  const { type: _type, backend_tls: _backendTls, ...totals } = end;
  const { type, ...changes } = decision ?? { type: null };
  const line = {
    time: new Date().toISOString(),
    connection: scope.connection,
    route: scope.route,
    client: scope.client.join(" "),
    user: scope.user,
    database: scope.database,
    client_cert_name: tls?.client_cert_name ?? null,
    client_cert_error: tls?.client_cert_error ?? null,
    decision: type === null ? "none" : type.replace("postgresql.", ""),
    ...(Object.keys(changes).length > 0 && { changes }),
    ...(failure && { failure: describeError(failure.error) }),
    ...totals,
  };
  return escapeInvisible(JSON.stringify(line));
}

function writeToStdout(line: string): void {
  stdout ??= new LogWriter(
    Deno.stdout,
    (count) => JSON.stringify({ time: new Date().toISOString(), lines_dropped: count }),
  );
  stdout.write(line);
}

let stdout: LogWriter | undefined;
