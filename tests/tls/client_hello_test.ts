import assert from "node:assert/strict";
import { type AddressInfo, connect } from "node:net";
import { createServer } from "node:tls";
import fc from "fast-check";
import { type ClientHello, ClientHelloError, ClientHelloReader } from "../../src/tls/client_hello.ts";
import {
  helloMessage,
  serverNameExtension,
  toRecords,
  usualExtensions,
  vector,
} from "../support/client_hello.ts";
import { makeCa } from "../support/pki.ts";
import { bytesOf } from "../wire/bytes.ts";

const NAMED = helloMessage({ extensions: [...usualExtensions(), serverNameExtension("DB1.Example.com")] });

Deno.test("ClientHelloReader reads the server name, in lower case and without its last dot", () => {
  assert.deepEqual(readHello(toRecords(NAMED)), { serverName: "db1.example.com" });
  const dotted = helloMessage({ extensions: [serverNameExtension("db1.example.com.")] });
  assert.deepEqual(readHello(toRecords(dotted)), { serverName: "db1.example.com" });
});

Deno.test("ClientHelloReader finds no name where there is none, and where it is an IP address", () => {
  const withoutExtensions = helloMessage().slice(0, -2);
  withoutExtensions[3]! -= 2;
  const hellos = [
    withoutExtensions,
    helloMessage(),
    helloMessage({ extensions: usualExtensions() }),
    helloMessage({ extensions: [serverNameExtension("127.0.0.1")] }),
    helloMessage({ extensions: [serverNameExtension("::1")] }),
  ];
  for (const hello of hellos) assert.deepEqual(readHello(toRecords(hello)), { serverName: null });
});

Deno.test("ClientHelloReader gives one answer, however the hello is cut into records and segments", () => {
  const large = helloMessage({
    extensions: [[51, new Uint8Array(6_000)], ...usualExtensions().slice(0, 3), serverNameExtension("a.b")],
  });
  for (const [hello, serverName] of [[NAMED, "db1.example.com"], [large, "a.b"]] as const) {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 700 }), (record, segment) => {
        const bytes = toRecords(hello, record);
        const reader = new ClientHelloReader();
        for (let at = 0; at < bytes.length; at += segment) {
          assert.equal(reader.next(), null);
          reader.receive(bytes.subarray(at, at + segment));
        }
        assert.deepEqual(reader.next(), { serverName });
        assert.deepEqual(reader.received, bytes);
      }),
      { numRuns: 40 },
    );
    assert.deepEqual(readByteByByte(toRecords(hello, 1)), { serverName });
  }
});

Deno.test("ClientHelloReader keeps what stands behind the hello, and takes no notice of it", () => {
  const bytes = bytesOf(toRecords(NAMED), Uint8Array.of(0x14, 3, 3, 0, 1, 1), "anything");
  const reader = new ClientHelloReader();
  reader.receive(bytes);
  assert.deepEqual(reader.next(), { serverName: "db1.example.com" });
  assert.deepEqual(reader.received, bytes);
});

const name = (...names: string[]) => serverNameExtension(...names);
const MALFORMED: Readonly<Record<string, Uint8Array>> = {
  "an alert": bytesOf(Uint8Array.of(0x15, 3, 1, 0, 2, 2, 40)),
  "a record of SSL 2": Uint8Array.of(0x80, 0x2e, 1, 3, 1),
  "a record of another protocol": Uint8Array.of(0x16, 4),
  "an empty record": Uint8Array.of(0x16, 3, 1, 0, 0),
  "a record that is too long": Uint8Array.of(0x16, 3, 1, 0x40, 1),
  "a ServerHello": toRecords(bytesOf(Uint8Array.of(2), NAMED.slice(1))),
  "a message behind it in its record": toRecords(bytesOf(NAMED, NAMED)),
  "bytes behind its last field": toRecords(helloMessage({ rest: Uint8Array.of(0) })),
  "two server names": toRecords(helloMessage({ extensions: [name("a.b", "c.d")] })),
  "the same name twice": toRecords(helloMessage({ extensions: [name("a.b", "a.b")] })),
  "two server_name extensions": toRecords(helloMessage({ extensions: [name("a.b"), name("a.b")] })),
  "two extensions of another type": toRecords(
    helloMessage({ extensions: [[77, bytesOf()], [77, bytesOf()]] }),
  ),
  "an empty server_name extension": toRecords(helloMessage({ extensions: [[0, bytesOf()]] })),
  "an empty list of names": toRecords(helloMessage({ extensions: [[0, vector(2, bytesOf())]] })),
  "an empty name": toRecords(helloMessage({ extensions: [name("")] })),
  "a name of another kind": toRecords(
    helloMessage({ extensions: [[0, vector(2, bytesOf(Uint8Array.of(1), vector(2, bytesOf("a.b"))))]] }),
  ),
  "bytes behind the list of names": toRecords(
    helloMessage({ extensions: [[0, bytesOf(name("a.b")[1], Uint8Array.of(0))]] }),
  ),
  "a length that leads past the end": toRecords(
    helloMessage({ extensions: [[0, vector(2, bytesOf("\0\xff"))]] }),
  ),
  ...Object.fromEntries(
    [
      "*.a.b",
      "a..b",
      ".a",
      "-a.b",
      "a\0.b",
      "a b",
      "ä.b",
      "a.b..",
      `${"a".repeat(64)}.b`,
      "1.2.3",
      "a.b:5432",
    ].map((
      text,
    ) => [`the name ${JSON.stringify(text)}`, toRecords(helloMessage({ extensions: [name(text)] }))]),
  ),
};

for (const [what, bytes] of Object.entries(MALFORMED)) {
  Deno.test(`ClientHelloReader refuses ${what}, at once and byte by byte`, () => {
    assert.throws(() => readHello(bytes), ClientHelloError);
    assert.throws(() => readByteByByte(bytes), ClientHelloError);
  });
}

Deno.test("ClientHelloReader refuses a hello that does not end within 64 KiB, and holds no more", () => {
  const message = helloMessage({
    extensions: [[77, new Uint8Array(60_000)], [78, new Uint8Array(60_000).slice(5_000)]],
  });
  const bytes = toRecords(bytesOf(message.slice(0, 1), Uint8Array.of(2, 0, 0), message.slice(4)));
  const reader = new ClientHelloReader();
  reader.receive(bytes.subarray(0, reader.room));
  assert.throws(() => reader.next(), ClientHelloError);
  assert.equal(reader.room, 0);
  assert.throws(() => reader.receive(Uint8Array.of(0)), RangeError);
});

Deno.test("ClientHelloReader is total: a beginning is incomplete, anything else an answer or a ClientHelloError", () => {
  for (let end = 0; end < toRecords(NAMED).length; end++) {
    assert.equal(readHello(toRecords(NAMED).subarray(0, end)), null, `${end} bytes`);
  }
  fc.assert(fc.property(mutation(NAMED), (message) => {
    for (const bytes of [toRecords(message), message]) readOrError(bytes);
  }));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void readOrError(bytes)));
});

Deno.test("where rustls reads a server name out of a mutated hello, ClientHelloReader reads the same or refuses", async () => {
  await using rustls = await startOracle();
  const seen = { agreed: 0, refusedByUs: 0 };
  await fc.assert(
    fc.asyncProperty(mutation(NAMED), fc.integer({ min: 1, max: 300 }), async (message, record) => {
      const bytes = toRecords(message, record);
      const theirs = await rustls.read(bytes);
      if (theirs === undefined) return;
      const ours = readOrError(bytes);
      if (ours instanceof ClientHelloError) return void seen.refusedByUs++;
      assert.equal(ours?.serverName, theirs);
      seen.agreed++;
    }),
    { numRuns: 300, examples: [[NAMED, 1], [helloMessage({ extensions: usualExtensions() }), 300]] },
  );
  assert.ok(seen.agreed > 20, `the oracle must have an opinion now and then: ${JSON.stringify(seen)}`);
});

function readHello(bytes: Uint8Array): ClientHello | null {
  const reader = new ClientHelloReader();
  reader.receive(bytes);
  return reader.next();
}

function readByteByByte(bytes: Uint8Array): ClientHello | null {
  const reader = new ClientHelloReader();
  let hello: ClientHello | null = null;
  for (let at = 0; at < bytes.length && hello === null; at++) {
    reader.receive(bytes.subarray(at, at + 1));
    hello = reader.next();
  }
  return hello;
}

function readOrError(bytes: Uint8Array): ClientHello | ClientHelloError | null {
  try {
    return readHello(bytes);
  } catch (error) {
    if (error instanceof ClientHelloError) return error;
    throw error;
  }
}

/** Bytes changed, cut out, doubled or put in. */
function mutation(message: Uint8Array): fc.Arbitrary<Uint8Array> {
  const place = fc.nat({ max: message.length - 1 });
  const changed = fc.tuple(place, fc.nat({ max: 255 })).map(([at, byte]) => message.with(at, byte));
  const cut = fc.tuple(place, fc.nat({ max: 8 })).map(([at, count]) =>
    bytesOf(message.slice(0, at), message.slice(at + count))
  );
  const added = fc.tuple(place, fc.uint8Array({ maxLength: 8 })).map(([at, bytes]) =>
    bytesOf(message.slice(0, at), bytes, message.slice(at))
  );
  return fc.oneof(changed, cut, added);
}

/** rustls itself, which tells the server name it has read before it answers. */
async function startOracle() {
  const leaf = makeCa({ name: "CA" }).issue({ name: "localhost", purpose: "server", sans: ["localhost"] });
  const heard: string[] = [];
  const server = createServer({
    cert: leaf.certPem,
    key: leaf.keyPem,
    SNICallback: (servername, callback) => {
      heard.push(servername);
      callback(null);
    },
  });
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    /** The server name, `null` for none; `undefined` if it did not come so far. */
    async read(bytes: Uint8Array): Promise<string | null | undefined> {
      heard.length = 0;
      const socket = connect({ host: "127.0.0.1", port });
      socket.on("error", () => {});
      const closed = new Promise((resolve) => socket.on("close", resolve));
      // An answer, of whatever kind, or the end of the stream while it waits for more.
      const timer = setTimeout(() => socket.destroy(), 2_000);
      socket.on("data", () => socket.destroy());
      socket.on("end", () => socket.destroy());
      socket.end(bytes);
      await closed;
      clearTimeout(timer);
      return heard.length === 0 ? undefined : heard[0]! || null;
    },
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  };
}
