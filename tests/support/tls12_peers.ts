/** A TLS 1.2 client and server that present any certificate and sign with any key, or with none. */
import { createECDH, type KeyObject, sign } from "node:crypto";
import { concat } from "./der_tree.ts";
import type { PeerStream } from "./peer_stream.ts";
import { certificateList, Tls12, vector } from "./tls12.ts";

/** What to present. */
export interface Credentials {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** The key that signs, whether or not it is the leaf's (an EC key); `null`: the client's proof is left out. */
  readonly signWith: KeyObject | null;
}

/**
 * Completes a TLS 1.2 handshake as a client that presents a certificate.
 *
 * @throws {TlsAlert} If the server ends it.
 */
export async function connectTls12(stream: PeerStream, credentials: Credentials): Promise<Tls12> {
  const tls = new Tls12(stream, "client");
  await tls.send(
    MESSAGE.clientHello,
    VERSION,
    tls.random,
    [0],
    vector(2, SUITE),
    [1, 0],
    vector(2, EXTENSIONS),
  );
  const hello = await receive(tls, MESSAGE.serverHello);
  await receive(tls, MESSAGE.certificate);
  const exchange = await receive(tls, MESSAGE.serverKeyExchange);
  await receive(tls, MESSAGE.certificateRequest);
  await receive(tls, MESSAGE.serverHelloDone);
  await tls.send(MESSAGE.certificate, certificateList(credentials.chain));
  const ecdh = createECDH("prime256v1");
  await tls.send(MESSAGE.clientKeyExchange, vector(1, ecdh.generateKeys()));
  if (credentials.signWith !== null) {
    await tls.send(MESSAGE.certificateVerify, signed(tls.transcript, credentials.signWith));
  }
  const point = exchange.subarray(4, 4 + exchange[3]!);
  tls.agree(ecdh.computeSecret(point), { client: tls.random, server: hello.subarray(2, 34) });
  await tls.finish();
  await tls.awaitFinish();
  return tls;
}

/**
 * Completes a TLS 1.2 handshake as a server.
 *
 * @throws {TlsAlert} If the client ends it.
 */
export async function acceptTls12(stream: PeerStream, credentials: Credentials): Promise<Tls12> {
  const tls = new Tls12(stream, "server");
  const clientRandom = (await receive(tls, MESSAGE.clientHello)).subarray(2, 34);
  await tls.send(MESSAGE.serverHello, VERSION, tls.random, [0], SUITE, [0]);
  await tls.send(MESSAGE.certificate, certificateList(credentials.chain));
  const ecdh = createECDH("prime256v1");
  const parameters = concat([3], GROUP, vector(1, ecdh.generateKeys()));
  const proof = signed(concat(clientRandom, tls.random, parameters), credentials.signWith!);
  await tls.send(MESSAGE.serverKeyExchange, parameters, proof);
  await tls.send(MESSAGE.serverHelloDone);
  const exchange = await receive(tls, MESSAGE.clientKeyExchange);
  tls.agree(ecdh.computeSecret(exchange.subarray(1)), { client: clientRandom, server: tls.random });
  await tls.awaitFinish();
  await tls.finish();
  return tls;
}

async function receive(tls: Tls12, expected: number): Promise<Uint8Array> {
  const { type, body } = await tls.receive();
  if (type !== expected) throw new Error(`Handshake message of type ${type}, expected ${expected}`);
  return body;
}

/** DigitallySigned of RFC 5246 section 4.7. */
function signed(message: Uint8Array, key: KeyObject): Uint8Array {
  return concat(ECDSA_SHA256, vector(2, sign("sha256", message, key)));
}

/** HandshakeType of RFC 5246 section 7.4. */
const MESSAGE = {
  clientHello: 1,
  serverHello: 2,
  certificate: 11,
  serverKeyExchange: 12,
  certificateRequest: 13,
  serverHelloDone: 14,
  certificateVerify: 15,
  clientKeyExchange: 16,
} as const;

const VERSION = [3, 3];
/** TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256. */
const SUITE = [0xc0, 0x2b];
/** secp256r1. */
const GROUP = [0, 0x17];
/** ecdsa_secp256r1_sha256. */
const ECDSA_SHA256 = [4, 3];
/** supported_groups, ec_point_formats (uncompressed), signature_algorithms. */
const EXTENSIONS = concat(
  [0, 10],
  vector(2, vector(2, GROUP)),
  [0, 11],
  vector(2, vector(1, [0])),
  [0, 13],
  vector(2, vector(2, ECDSA_SHA256)),
);
