import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { formatDistinguishedName } from "../../src/tls/distinguished_name.ts";

/** One attribute: type, string type, octets (text is one octet a character; see `utf8`, `utf16` and `utf32`). */
type Attribute = readonly [oid: string, tag: number, value: string | Uint8Array];

const CN = "2.5.4.3";
const OU = "2.5.4.11";
const EMAIL = "1.2.840.113549.1.9.1";
const UNKNOWN = "1.3.6.1.4.1.99999.1";
const UUID_ARC = "2.25.329800735698586629295641978511506172918";

const UTF8 = 0x0c;
const NUMERIC = 0x12;
const PRINTABLE = 0x13;
const T61 = 0x14;
const IA5 = 0x16;
const VISIBLE = 0x1a;
const UNIVERSAL = 0x1c;
const BMP = 0x1e;

/** Subjects, RDN by RDN in the order of the certificate, and what is printed. */
const SUBJECTS: readonly [name: string, rdns: readonly (readonly Attribute[])[], expected: string][] = [
  ["an empty subject", [], ""],
  ["several RDNs, last first", [[["2.5.4.6", PRINTABLE, "FR"]], [["2.5.4.10", UTF8, "Acme"]], [[
    CN,
    UTF8,
    "alice",
  ]]], "CN=alice,O=Acme,C=FR"],
  ["several values in one RDN", [[["2.5.4.10", UTF8, "Acme"]], [[CN, UTF8, "alice"], [OU, UTF8, "Sales"], [
    EMAIL,
    IA5,
    "a@b.c",
  ]]], "emailAddress=a@b.c+OU=Sales+CN=alice,O=Acme"],
  ["the same type twice", [[[OU, UTF8, "one"]], [[OU, UTF8, "two"]]], "OU=two,OU=one"],
  ["domain components and UID", [[["0.9.2342.19200300.100.1.25", IA5, "org"]], [[
    "0.9.2342.19200300.100.1.25",
    IA5,
    "example",
  ]], [["0.9.2342.19200300.100.1.1", UTF8, "u1"]]], "UID=u1,DC=example,DC=org"],
  ["a comma", [[[CN, UTF8, "Doe, Jane"]]], "CN=Doe\\, Jane"],
  ["a plus sign", [[[CN, UTF8, "a+b"]]], "CN=a\\+b"],
  ["a quotation mark", [[[CN, UTF8, 'the "boss"']]], 'CN=the \\"boss\\"'],
  ["a backslash", [[[CN, UTF8, "a\\b\\2C"]]], "CN=a\\\\b\\\\2C"],
  ["angle brackets and a semicolon", [[[CN, UTF8, "<a>;b"]]], "CN=\\<a\\>\\;b"],
  ["an equals sign", [[[CN, UTF8, "a=b"]]], "CN=a=b"],
  ["a text that looks like two RDNs", [[[CN, UTF8, "eve,CN=alice"]]], "CN=eve\\,CN=alice"],
  ["a leading number sign", [[[CN, UTF8, "#1#2"]]], "CN=\\#1#2"],
  ["spaces at both ends", [[[CN, UTF8, " a b "]]], "CN=\\ a b\\ "],
  ["two spaces at both ends", [[[CN, UTF8, "  a  "]]], "CN=\\  a \\ "],
  ["one space", [[[CN, UTF8, " "]]], "CN=\\ "],
  ["two spaces", [[[CN, UTF8, "  "]]], "CN=\\ \\ "],
  ["an empty value", [[[CN, UTF8, ""]]], "CN="],
  ["NUL", [[[CN, UTF8, "alice\0.evil"]]], "CN=alice\\00.evil"],
  ["line feeds, tabs and DEL", [[[CN, UTF8, "a\r\nb\tc\x7f"]]], "CN=a\\0D\\0Ab\\09c\\7F"],
  ["a trailing line feed", [[[CN, UTF8, "a\n"]]], "CN=a\\0A"],
  ["UTF-8", [[[CN, UTF8, utf8("Jürgen Ωμέγα 😀")]]], "CN=Jürgen Ωμέγα 😀"],
  ["a leading U+FEFF", [[[CN, UTF8, utf8("\ufeffalice")]]], "CN=\ufeffalice"],
  ["C1 controls and a no-break space in UTF-8", [[[CN, UTF8, utf8("\x80a\xa0")]]], "CN=\x80a\xa0"],
  ["PrintableString", [[[CN, PRINTABLE, "Alice (1)"]]], "CN=Alice (1)"],
  ["octets over 127 in PrintableString", [[[CN, PRINTABLE, "J\xfcrgen"]]], "CN=Jürgen"],
  ["IA5String", [[[EMAIL, IA5, "a+b@example.com"]]], "emailAddress=a\\+b@example.com"],
  ["NumericString", [[["2.5.4.5", NUMERIC, "12 34"]]], "serialNumber=12 34"],
  ["T61String as Latin-1", [[[CN, T61, "J\xfcrgen\x85\x9f"]]], "CN=Jürgen\x85\x9f"],
  ["BMPString", [[[CN, BMP, utf16("Ωμέγα, é")]]], "CN=Ωμέγα\\, é"],
  ["UniversalString", [[[CN, UNIVERSAL, utf32("a😀#")]]], "CN=a😀#"],
  ["names and titles", [
    [["2.5.4.4", UTF8, "Doe"]],
    [["2.5.4.42", UTF8, "Jane"]],
    [["2.5.4.43", UTF8, "JD"]],
    [["2.5.4.12", UTF8, "Dr"]],
    [["2.5.4.44", UTF8, "III"]],
    [["2.5.4.65", UTF8, "jd"]],
  ], "pseudonym=jd,generationQualifier=III,title=Dr,initials=JD,GN=Jane,SN=Doe"],
  [
    "addresses",
    [[["2.5.4.7", UTF8, "Paris"]], [["2.5.4.8", UTF8, "IdF"]], [["2.5.4.17", UTF8, "75001"]], [[
      "2.5.4.18",
      UTF8,
      "7",
    ]], [["2.5.4.20", PRINTABLE, "+33 1"]]],
    "telephoneNumber=\\+33 1,postOfficeBox=7,postalCode=75001,ST=IdF,L=Paris",
  ],
  [
    "company types",
    [
      [["1.3.6.1.4.1.311.60.2.1.3", PRINTABLE, "DE"]],
      [["1.3.6.1.4.1.311.60.2.1.2", UTF8, "BY"]],
      [["1.3.6.1.4.1.311.60.2.1.1", UTF8, "M"]],
      [["2.5.4.15", UTF8, "Private"]],
      [["2.5.4.97", UTF8, "VATDE-1"]],
    ],
    "organizationIdentifier=VATDE-1,businessCategory=Private,jurisdictionL=M,jurisdictionST=BY,jurisdictionC=DE",
  ],
  ["other named types", [
    [["2.5.4.13", UTF8, "d"]],
    [["2.5.4.41", UTF8, "n"]],
    [["2.5.4.46", PRINTABLE, "q"]],
    [["1.2.840.113549.1.9.2", UTF8, "un"]],
    [["1.2.840.113549.1.9.8", UTF8, "ua"]],
    [["0.9.2342.19200300.100.1.3", IA5, "m@x"]],
  ], "mail=m@x,unstructuredAddress=ua,unstructuredName=un,dnQualifier=q,name=n,description=d"],
  ["a type without a name", [[[UNKNOWN, UTF8, "hi"]]], `${UNKNOWN}=#0C026869`],
  ["a type with an arc of 128 bits", [[[UUID_ARC, UTF8, "x"]]], `${UUID_ARC}=#0C0178`],
  ["a value of 200 octets", [[[UNKNOWN, UTF8, "x".repeat(200)]]], `${UNKNOWN}=#0C81C8${"78".repeat(200)}`],
  ["a BIT STRING", [[["2.5.4.45", 0x03, "\x00\xff"]]], "x500UniqueIdentifier=#030200FF"],
  ["a SEQUENCE", [[[CN, 0x30, "\x02\x01\x01"]]], "CN=#3003020101"],
];

/** Where OpenSSL prints something else, or cannot read the certificate. */
const DIFFERENT: readonly [name: string, rdns: readonly (readonly Attribute[])[], expected: string][] = [
  ["streetAddress by RFC 4514's name", [[["2.5.4.9", UTF8, "1 Main St"]]], "STREET=1 Main St"],
  ["a type only OpenSSL has a name for by its OID", [[["2.5.4.72", UTF8, "dba"]]], "2.5.4.72=#0C03646261"],
  ["UTF8String that is not UTF-8", [[[CN, UTF8, "a\xffb"]]], "CN=#0C0361FF62"],
  ["overlong UTF-8", [[[CN, UTF8, "\xc0\xaf"]]], "CN=#0C02C0AF"],
  ["BMPString of odd length", [[[CN, BMP, "\0a\0"]]], "CN=#1E03006100"],
  ["BMPString with half a surrogate pair", [[[CN, BMP, "\xd8\x00"]]], "CN=#1E02D800"],
  ["BMPString with a surrogate pair", [[[CN, BMP, utf16("😀")]]], "CN=😀"],
  ["UniversalString with a surrogate", [[[CN, UNIVERSAL, "\0\0\xd8\0"]]], "CN=#1C040000D800"],
  ["UniversalString over U+10FFFF", [[[CN, UNIVERSAL, "\0\x11\0\0"]]], "CN=#1C0400110000"],
  ["UniversalString of 3 octets", [[[CN, UNIVERSAL, "\0\0a"]]], "CN=#1C03000061"],
  ["VisibleString", [[[CN, VISIBLE, "visible"]]], "CN=visible"],
  ["an INTEGER", [[[CN, 0x02, "\x2a"]]], "CN=#02012A"],
  ["a NULL", [[[CN, 0x05, ""]]], "CN=#0500"],
  ["an OCTET STRING", [[[CN, 0x04, "alice"]]], "CN=#0405616C696365"],
  ["a GeneralString", [[[CN, 0x1b, "x"]]], "CN=#1B0178"],
  ["a UTCTime", [[[CN, 0x17, "260101000000Z"]]], "CN=#170D3236303130313030303030305A"],
];

for (const [name, rdns, expected] of [...SUBJECTS, ...DIFFERENT]) {
  Deno.test(`formatDistinguishedName prints ${name}`, () => {
    assert.equal(formatDistinguishedName(nameOf(rdns)), expected);
  });
}

Deno.test("formatDistinguishedName prints what openssl x509 -nameopt RFC2253,-esc_msb prints", () => {
  for (const [name, rdns, expected] of SUBJECTS) {
    assert.equal(opensslSubject(certificateOf(nameOf(rdns))), expected, name);
  }
});

Deno.test("formatDistinguishedName knows every type of RFC 4519 and PKCS #9 by the name OpenSSL prints", () => {
  const rfc4519 = [
    3,
    4,
    5,
    6,
    7,
    8,
    10,
    11,
    12,
    13,
    14,
    15,
    16,
    17,
    18,
    19,
    20,
    21,
    22,
    23,
    24,
    25,
    26,
    27,
    28,
    31,
  ];
  const more4519 = [32, 33, 34, 35, 41, 42, 43, 44, 45, 46, 47, 49, 50, 51];
  const types = [
    ...[...rfc4519, ...more4519].map((arc) => `2.5.4.${arc}`),
    ...[1, 25].map((arc) => `0.9.2342.19200300.100.1.${arc}`),
    ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 20, 21].map((arc) => `1.2.840.113549.1.9.${arc}`),
  ];
  const name = nameOf(types.map((type) => [[type, UTF8, "x"]]));
  const printed = formatDistinguishedName(name);
  assert.equal(printed, opensslSubject(certificateOf(name)));
  assert.doesNotMatch(printed, /#|\d=/);
});

Deno.test("formatDistinguishedName prints everything on one line", () => {
  const octets = Uint8Array.from({ length: 0x80 }, (_, octet) => octet);
  assert.match(formatDistinguishedName(nameOf([[[CN, UTF8, octets]]])), /^CN=[\x20-\x7e]+$/);
});

for (
  const [name, bytes] of [
    ["nothing", ""],
    ["bytes behind the name", "\x30\x00\x00"],
    ["a SET", "\x31\x00"],
    ["a name cut short", "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x0c\x02a"],
    ["an RDN that is not a SET", "\x30\x02\x30\x00"],
    ["an attribute without value", "\x30\x09\x31\x07\x30\x05\x06\x03\x55\x04\x03"],
    ["an attribute with two values", "\x30\x0d\x31\x0b\x30\x09\x06\x03\x55\x04\x03\x05\x00\x05\x00"],
    ["a type that is not an OID", "\x30\x08\x31\x06\x30\x04\x05\x00\x05\x00"],
    ["an indefinite length", "\x30\x80\x00\x00"],
  ] as const
) {
  Deno.test(`formatDistinguishedName refuses ${name}`, () => {
    assert.throws(() => formatDistinguishedName(octetsOf(bytes)), { name: "DerError" });
  });
}

function opensslSubject(certificate: Uint8Array): string {
  const options = ["x509", "-inform", "DER", "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb"];
  const output = execFileSync("openssl", options, { input: certificate, encoding: "utf8" });
  return output.replace(/^subject=/, "").replace(/\n$/, "");
}

/** A self-signed version 3 certificate with an Ed25519 key, made of nothing but what X.509 demands. */
function certificateOf(subject: Uint8Array): Uint8Array {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const algorithm = der(0x30, oidOf("1.3.101.112"));
  const validity = der(0x30, der(0x17, "260101000000Z"), der(0x17, "360101000000Z"));
  const spki = publicKey.export({ format: "der", type: "spki" });
  const version = der(0xa0, der(0x02, "\x02"));
  const tbs = der(0x30, version, der(0x02, "\x01"), algorithm, subject, validity, subject, spki);
  return der(0x30, tbs, algorithm, der(0x03, "\0", sign(null, tbs, privateKey)));
}

function nameOf(rdns: readonly (readonly Attribute[])[]): Uint8Array {
  return der(0x30, ...rdns.map((rdn) => der(0x31, ...rdn.map(attributeOf))));
}

function attributeOf([oid, tag, value]: Attribute): Uint8Array {
  return der(0x30, oidOf(oid), der(tag, value));
}

function oidOf(dotted: string): Uint8Array {
  const [first = 0n, second = 0n, ...others] = dotted.split(".").map(BigInt);
  return der(0x06, Uint8Array.from([first * 40n + second, ...others].flatMap(base128)));
}

function base128(arc: bigint): number[] {
  const octets = [Number(arc & 0x7fn)];
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) octets.unshift(Number(rest & 0x7fn) | 0x80);
  return octets;
}

function der(tag: number, ...parts: (string | Uint8Array)[]): Uint8Array {
  const content = parts.flatMap((part) => [...octetsOf(part)]);
  const length = content.length;
  const header = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Uint8Array.from([tag, ...header, ...content]);
}

function octetsOf(part: string | Uint8Array): Uint8Array {
  return typeof part === "string" ? Uint8Array.from(part, (character) => character.charCodeAt(0)) : part;
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function utf16(text: string): Uint8Array {
  return Uint8Array.from(
    text.split("").flatMap((unit) => [unit.charCodeAt(0) >> 8, unit.charCodeAt(0) & 0xff]),
  );
}

function utf32(text: string): Uint8Array {
  const codePoints = Array.from(text, (character) => character.codePointAt(0) ?? 0);
  return Uint8Array.from(codePoints.flatMap((point) => [0, point >> 16, (point >> 8) & 0xff, point & 0xff]));
}
