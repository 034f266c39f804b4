/** Tables for people, made to fit a terminal: the longest columns of text are cut. Nothing else is ever cut. */

/** What fitting must know of a column. */
export interface Fittable {
  readonly head: string;
  readonly cells: readonly string[];
  /** Aligned to the right: numbers, of which no digit may be missing. */
  readonly right?: boolean | undefined;
}

const GAP = 2;
/** No column of text is cut below this. */
const MIN_WIDTH = 12;
const ELLIPSIS = '…';
/** A time, a number, or nothing: worthless without its end. */
const FIGURE = /^(-?\d[\d .:T+-]*[a-z%]{0,3}|-|)$/;

/** Columns of the terminal behind a stream; undefined for a pipe or a file, where nothing may be cut. */
export function terminalWidth(stream: {
  readonly isTTY?: boolean;
  readonly columns?: number;
}): number | undefined {
  return stream.isTTY && stream.columns ? stream.columns : undefined;
}

/**
 * The same columns, no wider than `width` together if that can be; undefined leaves them as they are.
 * All that are cut become equally wide.
 */
export function fitColumns<T extends Fittable>(columns: readonly T[], width: number | undefined): T[] {
  const widths = columns.map(({ head, cells }) => Math.max(...[head, ...cells].map(displayWidth)));
  const total = widths.reduce((sum, one) => sum + one, GAP * (columns.length - 1));
  if (width === undefined || total <= width) return [...columns];
  const cuttable = columns.map((column) => !isWhole(column));
  const fixed = widths.reduce(
    (sum, one, index) => sum + (cuttable[index] ? 0 : one),
    GAP * (columns.length - 1),
  );
  const limit = Math.max(
    MIN_WIDTH,
    share(
      widths.filter((_, index) => cuttable[index]),
      width - fixed,
    ),
  );
  return columns.map((column, index) =>
    cuttable[index] && (widths[index] ?? 0) > limit
      ? { ...column, head: cut(column.head, limit), cells: column.cells.map((cell) => cut(cell, limit)) }
      : column,
  );
}

function isWhole({ right, cells }: Fittable): boolean {
  return right === true || cells.every((cell) => FIGURE.test(cell));
}

/** The greatest width to which the widest may be cut so that all together have `room`. */
function share(widths: readonly number[], room: number): number {
  let left = room;
  const sorted = widths.toSorted((a, b) => a - b);
  for (const [index, width] of sorted.entries()) {
    const each = Math.floor(left / (sorted.length - index));
    if (width > each) return each;
    left -= width;
  }
  return Number.POSITIVE_INFINITY;
}

function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let kept = '';
  let used = 0;
  for (const character of text) {
    used += characterWidth(character);
    if (used > width - 1) break;
    kept += character;
  }
  return kept.trimEnd() + ELLIPSIS;
}

/** Cells of a terminal. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

function characterWidth(character: string): number {
  if (character < '\u0300') return 1;
  if (/\p{Mn}/u.test(character)) return 0;
  // Unicode Standard Annex 11, as far as scripts tell it.
  return /[\p{sc=Han}\p{sc=Hangul}\p{sc=Hiragana}\p{sc=Katakana}\p{Emoji_Presentation}\uff01-\uff60]/u.test(
    character,
  )
    ? 2
    : 1;
}
