/**
 * What a job asks for in its comment: `sbatch --comment 'monitor=wattmetre.*'`. Comments are free text of users, and
 * sites use them for other things too, so only words of this form count:
 *
 *   comment = word { blank | ";" word }
 *   word    = "monitor"                all optional metrics
 *           | "monitor=" pattern       those that the pattern matches, see docs/jobs/README.md
 *           | anything else, which is left alone
 */
import { KwError } from '../../errors.ts';
import { prefixPattern } from '../../prefixPattern.ts';

/** More are not looked at: the database has a limit of its own for each device. */
const MAX_PATTERNS = 16;
/** As the database stores them; the rest of a longer comment is not looked at either. */
const MAX_COMMENT_BYTES = 4096;

/** The patterns of a comment, as they are written, each once. */
export function patternsOfComment(comment: string): string[] {
  const words = storableComment(comment).split(/[\s;]+/);
  const patterns = words.flatMap((word) => {
    if (word === 'monitor') return ['.*'];
    return word.startsWith('monitor=') && word.length > 'monitor='.length
      ? [word.slice('monitor='.length)]
      : [];
  });
  return [...new Set(patterns)].slice(0, MAX_PATTERNS);
}

/** The part of a comment that can be stored: whole characters, no NUL. */
export function storableComment(comment: string): string {
  const text = comment.replaceAll('\0', '').toWellFormed();
  if (Buffer.byteLength(text) <= MAX_COMMENT_BYTES) return text;
  // A character that is cut becomes one replacement character, which is taken off.
  return Buffer.from(text).subarray(0, MAX_COMMENT_BYTES).toString('utf8').replace(/�$/, '');
}

export interface CheckedPatterns {
  readonly usable: readonly string[];
  readonly refused: readonly { pattern: string; message: string }[];
}

/** Tells the patterns that can be matched within bounds from the others. */
export async function checkPatterns(patterns: readonly string[]): Promise<CheckedPatterns> {
  const usable: string[] = [];
  const refused: { pattern: string; message: string }[] = [];
  for (const pattern of patterns) {
    try {
      if (prefixPattern(pattern) === undefined) (await import('../../pattern.ts')).compilePattern(pattern);
      usable.push(pattern);
    } catch (error) {
      if (!(error instanceof KwError)) throw error;
      refused.push({ pattern, message: error.message });
    }
  }
  return { usable, refused };
}
