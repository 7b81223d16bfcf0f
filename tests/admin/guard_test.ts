import assert from "node:assert/strict";
import { guard } from "../../src/admin/guard.ts";
import type { App, Headers, Scope, SendEvent } from "../../src/scope/types.ts";

const ALLOWED: readonly (readonly [string, Partial<Request>])[] = [
  ["a program without a browser's headers", {}],
  ["the page itself", { headers: [["origin", "http://localhost:9432"], ["sec-fetch-site", "same-origin"]] }],
  ["an address typed by a person", { headers: [["sec-fetch-site", "none"], ["sec-fetch-mode", "navigate"]] }],
  ["a link followed from another site", {
    headers: [["sec-fetch-site", "cross-site"], ["sec-fetch-mode", "navigate"], [
      "sec-fetch-dest",
      "document",
    ]],
  }],
  ["the page's own POST", { method: "POST", headers: [["origin", "http://localhost:9432"]] }],
  ["the page's own WebSocket", { websocket: true, headers: [["origin", "http://localhost:9432"]] }],
  ["a WebSocket over TLS", { websocket: true, tls: true, headers: [["origin", "https://localhost:9432"]] }],
  ["the port of a tunnel", { host: "localhost:12345" }],
  ["no port", { host: "localhost" }],
  ["capitals", { host: "LOCALHOST:9432" }],
];

const REFUSED: readonly (readonly [string, Partial<Request>])[] = [
  ["a name that resolves here (DNS rebinding)", { host: "attacker.example:9432" }],
  ["a name that only begins like an own one", { host: "localhost.attacker.example:9432" }],
  ["a name that only ends like one", { host: "attackerlocalhost" }],
  ["a user before the host", { host: "localhost@attacker.example" }],
  ["an empty host", { host: "" }],
  ["no Host", { host: null }],
  ["two Hosts", { headers: [["host", "attacker.example"]] }],
  ["a form of another site", { method: "POST", headers: [["origin", "http://attacker.example"]] }],
  ["a form from nowhere", { method: "POST", headers: [["origin", "null"]] }],
  ["a script of another site", {
    headers: [["sec-fetch-site", "cross-site"], ["sec-fetch-mode", "no-cors"], ["sec-fetch-dest", "script"]],
  }],
  ["a script of another port of this machine", { headers: [["sec-fetch-site", "same-site"]] }],
  ["a frame in another site", {
    headers: [["sec-fetch-site", "cross-site"], ["sec-fetch-mode", "navigate"], ["sec-fetch-dest", "iframe"]],
  }],
  ["a form of another site that looks like a visit", {
    method: "POST",
    headers: [["sec-fetch-site", "cross-site"], ["sec-fetch-mode", "navigate"], [
      "sec-fetch-dest",
      "document",
    ]],
  }],
  ["a fetch of another site", { headers: [["origin", "http://attacker.example"]] }],
  ["a WebSocket of another site", { websocket: true, headers: [["origin", "http://attacker.example"]] }],
  ["a WebSocket of another port", { websocket: true, headers: [["origin", "http://localhost:8000"]] }],
  ["a page without TLS on a server with it", { tls: true, headers: [["origin", "http://localhost:9432"]] }],
];

for (const [what, request] of ALLOWED) {
  Deno.test(`guard lets through ${what}`, async () => {
    assert.deepEqual(await through(request), { isServed: true, refusals: 0, answer: undefined });
  });
}

for (const [what, request] of REFUSED) {
  Deno.test(`guard refuses ${what}`, async () => {
    const { isServed, refusals, answer } = await through(request);
    assert.deepEqual({ isServed, refusals }, { isServed: false, refusals: 1 });
    assert.deepEqual(answer, request.websocket ? "websocket.close" : 403);
  });
}

Deno.test("guard takes any Host where client certificates are required, but no other origin", async () => {
  assert.ok((await through({ host: "admin.example" }, null)).isServed);
  const headers: Headers = [["origin", "http://attacker.example"]];
  assert.ok(!(await through({ host: "admin.example", headers }, null)).isServed);
});

interface Request {
  readonly host: string | null;
  readonly method: string;
  readonly headers: Headers;
  readonly websocket: boolean;
  readonly tls: boolean;
}

async function through(
  request: Partial<Request>,
  isOwnHost: ((host: string) => boolean) | null = (host) => host === "localhost",
) {
  let isServed = false;
  let refusals = 0;
  const app: App = () => void (isServed = true);
  const sent: SendEvent[] = [];
  const guarded = guard(app, { isOwnHost, onRefused: () => refusals++ });
  await guarded(scopeOf(request), () => Promise.reject(new Error("nothing comes")), (event) => {
    sent.push(event);
    return Promise.resolve();
  });
  const [first] = sent;
  const answer = first?.type === "http.response.start" ? first.status : first?.type;
  return { isServed, refusals, answer };
}

function scopeOf(request: Partial<Request>): Scope {
  const { host = "localhost:9432", method = "GET", headers = [], websocket = false, tls = false } = request;
  const common = {
    pagi: { version: "0.1", spec_version: "0.1" },
    http_version: "1.1",
    path: "/",
    raw_path: "/",
    query_string: "",
    headers: [...(host === null ? [] : [["host", host] as const]), ...headers],
    client: ["127.0.0.1", 50_000],
    server: ["127.0.0.1", 9_432],
    extensions: {},
  } as const;
  if (websocket) return { ...common, type: "websocket", scheme: tls ? "wss" : "ws", subprotocols: [] };
  return { ...common, type: "http", scheme: tls ? "https" : "http", method };
}
