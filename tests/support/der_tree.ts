/**
 * DER as a tree that can be bent: parsed, changed anywhere, and written back with every outer length put right,
 * or with one length deliberately in another BER form.
 */

/** One element. */
export interface DerNode {
  tag: number;
  /** The content of a primitive, the elements of a constructed one. */
  content: Uint8Array | DerNode[];
  /** How to write the length; default the minimal one. */
  length?: "long" | "indefinite";
}

/**
 * Parses one element and everything in it.
 *
 * @throws {RangeError} If it is not one whole element with definite lengths, as something already bent may not be.
 */
export function parseTree(der: Uint8Array): DerNode {
  const [node, rest] = parseOne(der);
  if (rest.length > 0) throw new RangeError("trailing bytes");
  return node;
}

/** The bytes of a tree. */
export function encodeTree(node: DerNode): Uint8Array<ArrayBuffer> {
  const content = node.content instanceof Uint8Array ? node.content : concat(...node.content.map(encodeTree));
  if (node.length === "indefinite") return concat([node.tag, 0x80], content, [0, 0]);
  return concat([node.tag], encodeLength(content.length, node.length === "long"), content);
}

/** A primitive or constructed element from bytes that are its content. */
export function tlv(tag: number, ...content: (Uint8Array | readonly number[])[]): Uint8Array<ArrayBuffer> {
  const joined = concat(...content);
  return concat([tag], encodeLength(joined.length, false), joined);
}

/** The elements of a constructed node. */
export function children(node: DerNode): DerNode[] {
  if (node.content instanceof Uint8Array) throw new Error("not constructed");
  return node.content;
}

/** Every node, the root included, parents first. */
export function* walk(node: DerNode): Generator<DerNode> {
  yield node;
  if (!(node.content instanceof Uint8Array)) { for (const child of node.content) yield* walk(child); }
}

/** The extension with this identifier (its encoded content in hexadecimal) in a parsed TBSCertificate. */
export function findExtension(tbs: DerNode, oidHex: string): DerNode {
  const list = children(children(tbs).find((child) => child.tag === 0xa3)!)[0]!;
  const found = children(list).find((entry) => {
    const oid = children(entry)[0]!.content as Uint8Array;
    return Array.from(oid, (octet) => octet.toString(16).padStart(2, "0")).join("") === oidHex;
  });
  if (found === undefined) throw new Error(`no extension ${oidHex}`);
  return found;
}

function parseOne(bytes: Uint8Array): [DerNode, Uint8Array] {
  const tag = bytes[0]!;
  let [length, offset] = [bytes[1]!, 2];
  if (length >= 0x80) {
    const octets = length & 0x7f;
    length = 0;
    for (; offset < 2 + octets; offset++) length = length * 256 + bytes[offset]!;
  }
  if (!(offset + length <= bytes.length)) throw new RangeError("cut short");
  const content = bytes.subarray(offset, offset + length);
  const rest = bytes.subarray(offset + length);
  if ((tag & 0x20) === 0) return [{ tag, content: Uint8Array.from(content) }, rest];
  const nodes: DerNode[] = [];
  for (let left = content; left.length > 0;) {
    const [node, next] = parseOne(left);
    nodes.push(node);
    left = next;
  }
  return [{ tag, content: nodes }, rest];
}

function encodeLength(length: number, isLong: boolean): number[] {
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  if (isLong) return [0x80 | (octets.length + 1), 0, ...octets];
  return length < 0x80 ? [length] : [0x80 | octets.length, ...octets];
}

/** One byte string of several. */
export function concat(...parts: (Uint8Array | readonly number[])[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
