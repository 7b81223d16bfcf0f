/** PEM (RFC 7468): the blocks of a file, with the text around them ignored. */

/** One block, its base64 taken off. */
export interface PemBlock {
  /** `CERTIFICATE`, `X509 CRL`, … */
  readonly label: string;
  readonly bytes: Uint8Array;
}

/** The text has the marks of PEM but does not follow it. */
export class PemError extends Error {
  override readonly name = "PemError";
}

/**
 * All blocks of `text`, in order; `[]` when there is none.
 *
 * @throws {PemError} If a block does not end, ends as another, or is not base64.
 */
export function parsePem(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  let open: { label: string; lines: string[] } | null = null;
  for (const line of text.split(/\r\n|\n|\r/).map((raw) => raw.trim())) {
    const begin = BEGIN.exec(line);
    const end = END.exec(line);
    if (begin !== null) {
      if (open !== null) throw new PemError(`block ${blocks.length + 1} ("${open.label}") does not end`);
      open = { label: begin[1]!, lines: [] };
    } else if (end !== null && open !== null) {
      if (end[1] !== open.label) throw new PemError(`block ${blocks.length + 1} ends as "${end[1]}"`);
      blocks.push({ label: open.label, bytes: decodeBase64(open, blocks.length + 1) });
      open = null;
    } else if (open !== null) {
      open.lines.push(line);
    }
  }
  if (open !== null) throw new PemError(`block ${blocks.length + 1} ("${open.label}") does not end`);
  return blocks;
}

function decodeBase64(block: { label: string; lines: string[] }, position: number): Uint8Array {
  // Encrypted keys carry headers; they are never decoded here, and nothing else has any.
  const text = block.lines.filter((line) => !line.includes(":")).join("");
  if (!BASE64.test(text) || text.length % 4 !== 0) {
    throw new PemError(`block ${position} ("${block.label}") is not base64`);
  }
  return Uint8Array.fromBase64(text);
}

const BEGIN = /^-----BEGIN ([A-Z0-9 ]{1,40})-----$/;
const END = /^-----END ([A-Z0-9 ]{1,40})-----$/;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
