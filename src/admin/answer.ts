/** Answers to HTTP requests, in the words of an app. */

import { escapeInvisible } from "../printable.ts";
import type { Headers, HttpScope, Send } from "../scope/types.ts";

/** What is sent back. */
export interface Answer {
  /** @default 200 */
  readonly status?: number;
  /** `Content-Type`. */
  readonly type: string;
  /** In pieces, where it may be long: between two of them other connections get their turn. */
  readonly body: string | Uint8Array | AsyncIterable<string>;
  readonly headers?: Headers;
}

/** A JSON answer. What is not seen but obeyed by a terminal is escaped; the value a parser reads is the same. */
export function json(value: unknown, options: Pick<Answer, "status" | "headers"> = {}): Answer {
  return { ...options, type: JSON_TYPE, body: `${toJson(value)}\n` };
}

/** A value as JSON, fit for any terminal. */
export function toJson(value: unknown): string {
  return escapeInvisible(JSON.stringify(value));
}

/** Why not, for whoever asked: `{"error": "…"}`. */
export function problem(status: number, error: string, headers: Headers = []): Answer {
  return json({ error }, { status, headers });
}

/** Sends the answer to a request; to HEAD without its body. */
export async function sendAnswer(scope: HttpScope, send: Send, answer: Answer): Promise<void> {
  const { status = 200, type, headers = [], body } = answer;
  const length = contentLength(body);
  await send({
    type: "http.response.start",
    status,
    headers: [
      ["content-type", type],
      ...(length === null ? [] : [["content-length", String(length)] as const]),
      ...headers,
    ],
  });
  if (scope.method !== "HEAD" && typeof body !== "string" && !(body instanceof Uint8Array)) {
    for await (const piece of body) await send({ type: "http.response.body", body: piece, more: true });
  }
  const rest = typeof body === "string" || body instanceof Uint8Array ? body : "";
  await send({ type: "http.response.body", body: scope.method === "HEAD" ? "" : rest });
}

/** `Content-Type` of JSON; RFC 8259 leaves no choice of encoding. */
export const JSON_TYPE = "application/json";

function contentLength(body: Answer["body"]): number | null {
  if (typeof body === "string") return new TextEncoder().encode(body).length;
  return body instanceof Uint8Array ? body.length : null;
}
