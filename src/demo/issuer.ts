/**
 * Issues X.509 certificates for development and tests: version 3, strict DER, with the extensions RFC 5280 asks for.
 *
 * It only issues. Nothing here is ever used to decide whether a certificate is to be trusted.
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";
import { isIP } from "node:net";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_clientAuth,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from "@peculiar/asn1-x509";

/** A key algorithm, with its size where it has one. */
export type KeyType = "P-256" | "P-384" | "P-521" | "RSA-2048" | "RSA-4096" | "Ed25519";

/** What a certificate is for; decides basicConstraints, keyUsage and extendedKeyUsage. */
export type CertificatePurpose = "ca" | "server" | "client";

/** What {@linkcode issueCertificate} puts into the certificate. */
export interface CertificateRequest {
  /** The subject's common name, its only attribute. */
  readonly name: string;
  readonly purpose: CertificatePurpose;
  /** DNS names and IP addresses for the subjectAltName, which is left out when there are none. */
  readonly sans?: readonly string[];
  /** How many CA certificates may follow below a CA; no limit when absent. */
  readonly pathLength?: number;
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** @default "P-256" */
  readonly keyType?: KeyType;
}

/** A certificate and its private key. */
export interface IssuedCertificate {
  readonly name: string;
  /** The certificate alone, PEM. */
  readonly certPem: string;
  /** The private key, PKCS#8 PEM, not encrypted. */
  readonly keyPem: string;
  /** The certificate, DER. */
  readonly der: Uint8Array<ArrayBuffer>;
}

/**
 * Makes a new key and a certificate for it, signed by `issuer`, or by itself when there is no issuer.
 *
 * @throws {Error} If the key of `issuer` cannot sign.
 * @see {@link https://www.rfc-editor.org/rfc/rfc5280#section-4 | RFC 5280, section 4}
 */
export function issueCertificate(request: CertificateRequest, issuer?: IssuedCertificate): IssuedCertificate {
  const { publicKey, privateKey } = generateKey(request.keyType ?? "P-256");
  const keyInfo = AsnConvert.parse(publicKey.export({ type: "spki", format: "der" }), SubjectPublicKeyInfo);
  const parent = issuer === undefined ? undefined : AsnConvert.parse(issuer.der, Certificate).tbsCertificate;
  const signingKey = issuer === undefined ? privateKey : createPrivateKey(issuer.keyPem);
  const algorithm = signatureAlgorithm(signingKey);
  const subject = commonName(request.name);
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: randomSerialNumber(),
    signature: algorithm.identifier,
    issuer: parent?.subject ?? subject,
    validity: new Validity({
      notBefore: wholeSeconds(request.notBefore),
      notAfter: wholeSeconds(request.notAfter),
    }),
    subject,
    subjectPublicKeyInfo: keyInfo,
    extensions: extensionsFor(request, keyInfo, parent?.subjectPublicKeyInfo ?? keyInfo),
  });
  const signature = sign(algorithm.hash, new Uint8Array(AsnConvert.serialize(tbsCertificate)), signingKey);
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm.identifier,
    signatureValue: new Uint8Array(signature).buffer,
  });
  const der = new Uint8Array(AsnConvert.serialize(certificate));
  const keyPem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return { name: request.name, certPem: certificatePem(der), keyPem, der };
}

/** The PEM form of a DER certificate, with lines of 64 columns (RFC 7468, section 5). */
export function certificatePem(der: Uint8Array): string {
  const lines = Buffer.from(der).toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}

function generateKey(keyType: KeyType): { publicKey: KeyObject; privateKey: KeyObject } {
  switch (keyType) {
    case "RSA-2048":
    case "RSA-4096":
      return generateKeyPairSync("rsa", { modulusLength: Number(keyType.slice("RSA-".length)) });
    case "Ed25519":
      return generateKeyPairSync("ed25519");
    default:
      return generateKeyPairSync("ec", { namedCurve: keyType });
  }
}

function signatureAlgorithm(key: KeyObject): { identifier: AlgorithmIdentifier; hash: string | null } {
  const curve = key.asymmetricKeyDetails?.namedCurve ?? "";
  const name = key.asymmetricKeyType === "ec" ? curve : key.asymmetricKeyType ?? "";
  const found = SIGNATURE_ALGORITHMS[name];
  if (found === undefined) {
    throw new Error(`Cannot sign a certificate: no signature algorithm for key type "${name}"`);
  }
  // RFC 4055, section 5 wants a NULL parameter for RSA; RFC 5758 and RFC 8410 want none for the others.
  const parameters = name === "rsa" ? { parameters: null } : {};
  return { identifier: new AlgorithmIdentifier({ algorithm: found.oid, ...parameters }), hash: found.hash };
}

function extensionsFor(
  request: CertificateRequest,
  own: SubjectPublicKeyInfo,
  issuer: SubjectPublicKeyInfo,
): Extensions {
  const isCa = request.purpose === "ca";
  const pathLength = request.pathLength === undefined ? {} : { pathLenConstraint: request.pathLength };
  const extensions = [
    extension(id_ce_basicConstraints, true, new BasicConstraints({ cA: isCa, ...(isCa ? pathLength : {}) })),
    extension(id_ce_keyUsage, true, isCa ? KEY_USAGE_CA : KEY_USAGE_LEAF),
    extension(id_ce_subjectKeyIdentifier, false, new SubjectKeyIdentifier(keyIdentifier(own))),
    extension(
      id_ce_authorityKeyIdentifier,
      false,
      new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(keyIdentifier(issuer)) }),
    ),
  ];
  if (!isCa) {
    const usage = request.purpose === "server" ? id_kp_serverAuth : id_kp_clientAuth;
    extensions.push(extension(id_ce_extKeyUsage, false, new ExtendedKeyUsage([usage])));
  }
  const names = (request.sans ?? []).map((san) =>
    new GeneralName(isIP(san) === 0 ? { dNSName: san } : { iPAddress: san })
  );
  if (names.length > 0) {
    extensions.push(extension(id_ce_subjectAltName, false, new SubjectAlternativeName(names)));
  }
  return new Extensions(extensions);
}

function extension(extnID: string, critical: boolean, value: unknown): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

/** RFC 5280, section 4.2.1.2, method 1: SHA-1 of the public key bits. A name for the key, not a security feature. */
function keyIdentifier(key: SubjectPublicKeyInfo): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha1").update(new Uint8Array(key.subjectPublicKey)).digest());
}

function commonName(value: string): Name {
  const attribute = new AttributeTypeAndValue({
    type: OID_COMMON_NAME,
    value: new AttributeValue({ utf8String: value }),
  });
  return new Name([new RelativeDistinguishedName([attribute])]);
}

/** RFC 5280, section 4.1.2.5.2 allows no fractions of a second. */
function wholeSeconds(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}

/** Positive, at most 20 bytes (RFC 5280, section 4.1.2.2); the leading 0x40 bit avoids a zero first byte. */
function randomSerialNumber(): ArrayBuffer {
  const bytes = new Uint8Array(randomBytes(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.buffer;
}

const OID_COMMON_NAME = "2.5.4.3";

/** BIT STRING contents: keyCertSign (bit 5) and cRLSign (bit 6). */
const KEY_USAGE_CA = new KeyUsage(new Uint8Array([0x06]).buffer, 1);

/** BIT STRING contents: digitalSignature (bit 0), all that ECDHE and TLS 1.3 need. */
const KEY_USAGE_LEAF = new KeyUsage(new Uint8Array([0x80]).buffer, 7);

/** By key type or curve name, as node:crypto calls them. The hash is `null` where the scheme has its own. */
const SIGNATURE_ALGORITHMS: Readonly<Record<string, { readonly oid: string; readonly hash: string | null }>> =
  {
    "rsa": { oid: "1.2.840.113549.1.1.11", hash: "sha256" },
    "prime256v1": { oid: "1.2.840.10045.4.3.2", hash: "sha256" },
    "secp384r1": { oid: "1.2.840.10045.4.3.3", hash: "sha384" },
    "secp521r1": { oid: "1.2.840.10045.4.3.4", hash: "sha512" },
    "ed25519": { oid: "1.3.101.112", hash: null },
  };
