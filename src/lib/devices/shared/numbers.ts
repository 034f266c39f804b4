/** Numbers as devices and Kwollect write them. */

const MAX_NUMBER_LENGTH = 400;
const FLOAT = /^[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?$/i;

/** What Python's float() makes of a text, or undefined where it raises ValueError. */
export function parsePythonFloat(text: string): number | undefined {
  if (text.length > MAX_NUMBER_LENGTH) return undefined;
  const bare = text.trim();
  if (FLOAT.test(bare)) return Number(bare.replaceAll('_', ''));
  const word = /^([+-]?)(inf|infinity|nan)$/i.exec(bare);
  if (!word) return undefined;
  if (word[2]?.toLowerCase() === 'nan') return Number.NaN;
  return word[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

/** The shortest decimal that is this float: 0.1 as a float is stored as 0.1, not 0.10000000149011612. */
export function shortestFloat(float: number): number {
  if (!Number.isFinite(float)) return float;
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(float.toPrecision(digits));
    if (Math.fround(short) === float) return short;
  }
  return float;
}
