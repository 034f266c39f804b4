/**
 * Text from outside, made fit for a terminal: devices, users and databases put names into tables and messages, and
 * a control character in one of them could move the cursor, set the title or hide what stands before it.
 */

/** Control (both ranges: U+009B begins a sequence too), format (such as marks of direction), halves of pairs. */
const ACTING = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;
const ACTING_BUT_LAYOUT = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;

/** One line: what acts is shown as `\u001b`, in UTF-16 units as in JSON, so that JSON text stays the same JSON. */
export function printable(text: string): string {
  return text.replace(ACTING, escaped);
}

/** The same for text of several lines, with its newlines and tabs. */
export function printableLines(text: string): string {
  return text.replace(ACTING_BUT_LAYOUT, escaped);
}

function escaped(character: string): string {
  return [...Array(character.length).keys()]
    .map((index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
    .join('');
}
