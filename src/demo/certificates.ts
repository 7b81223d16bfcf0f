/** A development PKI: one CA, a server certificate and client certificates, as files. Not for production. */
import { isIP } from "node:net";
import { join, resolve } from "node:path";
import { issueCertificate, type IssuedCertificate } from "./issuer.ts";

/** What {@linkcode makeDevelopmentPki} makes. */
export interface DevelopmentPkiOptions {
  /** Where the files go; made if it is not there. */
  readonly dir: string;
  /** DNS names and IP addresses of the server, at least one. */
  readonly hosts: readonly string[];
  /** The common names of the client certificates, which are also the names of their files. */
  readonly clients: readonly string[];
  /** The common name of the CA. @default "pgtls development CA" */
  readonly caName?: string;
}

/** The absolute paths of a certificate and its private key. */
export interface CertificateFiles {
  readonly name: string;
  readonly cert: string;
  readonly key: string;
}

/** The files of a development PKI. */
export interface DevelopmentPki {
  readonly dir: string;
  readonly ca: CertificateFiles;
  readonly server: CertificateFiles;
  /** In the order asked for. */
  readonly clients: readonly CertificateFiles[];
  /** When the server and client certificates expire. */
  readonly notAfter: Date;
}

/**
 * Makes a development CA, a server certificate and client certificates, and writes each as `NAME.pem` and `NAME.key`.
 *
 * Keys are P-256, PKCS#8, with mode 0600 from the first moment. Nothing is overwritten; after an error, nothing new
 * is left in the folder.
 *
 * @throws {RangeError} If a host or client name cannot be used.
 * @throws {Error} If one of the files exists already. Names all of them.
 */
export async function makeDevelopmentPki(options: DevelopmentPkiOptions): Promise<DevelopmentPki> {
  checkNames(options);
  const dir = resolve(options.dir);
  const names = [CA, SERVER, ...options.clients];
  await refuseExisting(dir, names);
  const certificates = issueAll(options);
  await Deno.mkdir(dir, { recursive: true });
  await writeAll(certificates.map((issued, index) => ({ issued, files: filesOf(dir, names[index] ?? "") })));
  return {
    dir,
    ca: filesOf(dir, CA),
    server: filesOf(dir, SERVER),
    clients: options.clients.map((name) => filesOf(dir, name)),
    notAfter: daysFromNow(LEAF_DAYS),
  };
}

/** The CA, the server certificate, then the clients'. */
function issueAll(
  { hosts, clients, caName = "pgtls development CA" }: DevelopmentPkiOptions,
): IssuedCertificate[] {
  const notBefore = daysFromNow(-CLOCK_SKEW_DAYS);
  const caDates = { notBefore, notAfter: daysFromNow(CA_DAYS) };
  const dates = { notBefore, notAfter: daysFromNow(LEAF_DAYS) };
  // pathLength 0: this CA issues certificates for servers and clients only, no further CAs.
  const ca = issueCertificate({ name: caName, purpose: "ca", pathLength: 0, ...caDates });
  const serverName = hosts[0] !== undefined && hosts[0].length <= MAX_NAME_CHARS ? hosts[0] : SERVER;
  const server = issueCertificate({ name: serverName, purpose: "server", sans: hosts, ...dates }, ca);
  return [ca, server, ...clients.map((name) => issueCertificate({ name, purpose: "client", ...dates }, ca))];
}

function checkNames({ hosts, clients }: DevelopmentPkiOptions): void {
  if (hosts.length === 0) {
    throw new RangeError("Cannot make a server certificate: no host, expected at least one");
  }
  for (const host of hosts) {
    if (isIP(host) !== 0 || (host.length <= MAX_DNS_CHARS && DNS_NAME.test(host))) continue;
    throw new RangeError(
      `Cannot use host "${host}": expected a DNS name, such as "*.example.com", or an IP address`,
    );
  }
  const seen = new Set([CA, SERVER]);
  for (const name of clients) {
    if (!CLIENT_NAME.test(name) || name.length > MAX_NAME_CHARS) {
      throw new RangeError(
        `Cannot use client name "${name}": expected 1 to ${MAX_NAME_CHARS} letters, digits or any of "._@-"`,
      );
    }
    // Compared without case: some file systems are.
    if (seen.has(name.toLowerCase())) {
      throw new RangeError(`Cannot use client name "${name}": the file "${name}.pem" would be written twice`);
    }
    seen.add(name.toLowerCase());
  }
}

async function refuseExisting(dir: string, names: readonly string[]): Promise<void> {
  const files = names.flatMap((name) => [`${name}.pem`, `${name}.key`]);
  const found = await Promise.all(files.map((file) => exists(join(dir, file))));
  const existing = files.filter((_, index) => found[index]);
  if (existing.length === 0) return;
  const list = existing.map((file) => `"${file}"`).join(", ");
  throw new Error(
    `Cannot write certificates to "${dir}": it already has ${list}, expected a folder without them`,
  );
}

async function writeAll(entries: { issued: IssuedCertificate; files: CertificateFiles }[]): Promise<void> {
  const written: string[] = [];
  const write = async (path: string, text: string, mode: number): Promise<void> => {
    // createNew: opened with its mode, and never through a file or link that appeared in the meantime.
    await Deno.writeTextFile(path, text, { createNew: true, mode });
    written.push(path);
  };
  try {
    for (const { issued, files } of entries) {
      await write(files.key, issued.keyPem, 0o600);
      await write(files.cert, issued.certPem, 0o644);
    }
  } catch (error) {
    await Promise.all(written.map((path) => Deno.remove(path)));
    throw error;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function filesOf(dir: string, name: string): CertificateFiles {
  return { name, cert: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) };
}

function daysFromNow(days: number): Date {
  return new Date(Date.now() + days * 24 * 60 * 60 * 1000);
}

const CA = "ca";
const SERVER = "server";

/** Labels of letters, digits, `-` and the `_` that container names have; the first one may be `*`. */
const DNS_NAME = /^(\*\.)?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;
const MAX_DNS_CHARS = 253;

const CLIENT_NAME = /^[a-z0-9_][a-z0-9._@-]*$/i;

/** ub-common-name of RFC 5280, appendix A.1. */
const MAX_NAME_CHARS = 64;

/** Apple's limit for TLS server certificates; longer ones are refused by its clients. */
const LEAF_DAYS = 825;
const CA_DAYS = 3650;

/** Clocks that run behind (containers, virtual machines) must not see a certificate of tomorrow. */
const CLOCK_SKEW_DAYS = 1;
