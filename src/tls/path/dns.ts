/** DNS names as certificates spell them: letters, digits, hyphens and underscores, A-labels only (RFC 9525, RFC 5890). */

/** Whether it is a host name, relative, without wildcard; the last label not all digits. Same rules as rustls-webpki. */
export function isHostName(name: string): boolean {
  if (name.length === 0 || name.length > 253) return false;
  const labels = name.split(".");
  return labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels[labels.length - 1]!);
}

/** The part after `*.` of a wildcard that may match something: at least two labels; `null` otherwise. */
export function wildcardParent(name: string): string | null {
  if (!name.startsWith("*.")) return null;
  const parent = name.slice(2);
  return parent.includes(".") && isHostName(parent) ? parent : null;
}

/** Everything after the first label, or `null`. */
export function parentDomain(name: string): string | null {
  const dot = name.indexOf(".");
  return dot === -1 ? null : name.slice(dot + 1);
}

/** Whether it may be the base of a DNS name constraint: a domain, one with a leading dot, or nothing. */
export function isDomainBase(base: string): boolean {
  return base === "" || isHostName(base.startsWith(".") ? base.slice(1) : base);
}

/** Case does not matter in ASCII, and nothing else is here. */
export function lowerCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

const LABEL = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;
