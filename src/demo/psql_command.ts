/** Command lines to paste. */

/**
 * A psql command line for a POSIX shell. Options can be appended to it.
 *
 * @param parameters libpq connection parameters, in order.
 * @see {@link https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE | libpq}
 */
export function psqlCommand(parameters: Readonly<Record<string, string | number>>): string {
  const pairs = Object.entries(parameters).map(([name, value]) =>
    `${name}=${connectionValue(String(value))}`
  );
  return `psql ${shellWord(pairs.join(" "))}`;
}

function connectionValue(value: string): string {
  if (/^[^\s'\\]+$/.test(value)) return value;
  return `'${value.replace(/['\\]/g, "\\$&")}'`;
}

/** In double quotes where the shell takes everything in them literally, else in single quotes. */
function shellWord(text: string): string {
  return /["$`\\!]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `"${text}"`;
}
