/** Programs of Debian packages that some tests drive and most machines lack. */

/** Where the programs are. */
export interface Balancing {
  readonly haproxy: string;
  readonly pgbench: string;
}

/** HAProxy and pgbench; `null`, and a line that names what is missing, where one is not installed. */
export function findBalancing(): Balancing | null {
  const haproxy = find("haproxy");
  const pgbench = find("pgbench");
  if (haproxy !== null && pgbench !== null) return { haproxy, pgbench };
  const missing = [
    ...(haproxy === null ? ['HAProxy (Debian package "haproxy")'] : []),
    ...(pgbench === null ? ['pgbench (Debian package "postgresql")'] : []),
  ];
  console.log(`  not done: this machine has no ${missing.join(" and no ")}`);
  return null;
}

function find(program: string): string | null {
  return folders().map((folder) => `${folder}/${program}`).find(isFile) ?? null;
}

/** Debian's folders for the programs of PostgreSQL's server package, the newest version first, then PATH. */
function folders(): string[] {
  const onPath = (Deno.env.get("PATH") ?? "").split(":").filter((folder) => folder !== "");
  let versions: string[] = [];
  try {
    versions = [...Deno.readDirSync(DEBIAN_FOLDER)].map(({ name }) => name);
  } catch {
    // Not Debian, or no server package.
  }
  const newestFirst = versions.sort((one, other) => Number(other) - Number(one));
  return [...newestFirst.map((version) => `${DEBIAN_FOLDER}/${version}/bin`), ...onPath, "/usr/sbin"];
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

// `pgbench` on PATH is there with the client package already, and only says that the server package is missing.
const DEBIAN_FOLDER = "/usr/lib/postgresql";
