/** Text from peers and files, made safe to show. */

/**
 * Escapes what is not seen but obeyed: control characters drive terminals and break lines, format characters
 * (bidirectional overrides, zero-width ones) make a line read as something else. Each becomes `\uXXXX`, one for each
 * UTF-16 unit, which JSON reads back.
 */
export function escapeInvisible(text: string): string {
  return text.replace(INVISIBLE, (character) =>
    Array.from({ length: character.length }, (_, i) => {
      return `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`;
    }).join(""));
}

/** The same for text of several lines: newlines stay. */
export function printable(text: string): string {
  return text.split("\n").map(escapeInvisible).join("\n");
}

const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
