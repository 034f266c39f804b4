/**
 * Reads the part of a sample line that names the series: everything before the value.
 *
 *   http_requests_total{method="post",code="200"} 1027 1395066363000
 *   {"quoted.name",method="post"} 1027
 *   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ this
 *
 * The Prometheus text format 0.0.4, OpenMetrics 1.0 and the quoted names of Prometheus 3 in one lenient grammar.
 * Lines are strings in Latin-1, one character a byte, as the page reader cuts them; names and values come out as
 * proper text. Only a line that is not in the reader's cache comes here.
 */
import { isUtf8 } from 'node:buffer';

export interface SeriesText {
  readonly name: string;
  readonly labels: readonly (readonly [name: string, value: string])[];
  /** Index in the line where the value begins. */
  readonly valueStart: number;
}

const NAME = /[A-Za-z_:][A-Za-z0-9_:]*/y;
const LABEL_NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const BLANKS = /[ \t]*/y;
/** A string in quotes: backslash escapes whatever follows it. Linear, since no two parts can match the same text. */
const QUOTED = /"([^"\\]*(?:\\.[^"\\]*)*)"/sy;
/** More labels than could ever be stored (lib/limits.ts): the rest of the line is not read. */
const MAX_LABELS = 256;

/** A cursor over one line; every method either advances or gives undefined and stays. */
class Cursor {
  at = 0;
  readonly line: string;
  constructor(line: string) {
    this.line = line;
  }

  match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.line);
    if (found === null) return undefined;
    this.at = pattern.lastIndex;
    return found[1] ?? found[0];
  }

  take(character: string): boolean {
    if (this.line[this.at] !== character) return false;
    this.at++;
    return true;
  }

  blanks(): void {
    this.match(BLANKS);
  }
}

/** Latin-1 characters back to the UTF-8 text that they are the bytes of; undefined if they are not UTF-8. */
function utf8(latin1: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII is what is asked
  if (/^[\x00-\x7f]*$/.test(latin1)) return latin1;
  const bytes = Buffer.from(latin1, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
}

/** `\\`, `\"` and `\n`; any other backslash stays, as in Prometheus. */
function unescaped(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replaceAll(/\\([\\"n])/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
}

/** The name at the beginning of a line, unless it is in quotes or the line is malformed. */
export function nameOf(line: string): string | undefined {
  NAME.lastIndex = 0;
  return NAME.exec(line)?.[0];
}

/** The series of a line, or one sentence saying what is wrong with it. */
export function parseSeriesText(line: string): SeriesText | string {
  const cursor = new Cursor(line);
  cursor.blanks();
  let name = cursor.match(NAME);
  cursor.blanks();
  const labels: [string, string][] = [];
  const seen = new Set<string>();
  if (cursor.take('{')) {
    for (;;) {
      cursor.blanks();
      if (cursor.take('}')) break;
      const quoted = cursor.match(QUOTED);
      const labelName = quoted === undefined ? cursor.match(LABEL_NAME) : utf8(unescaped(quoted));
      if (labelName === undefined) return 'a label name or } is missing';
      cursor.blanks();
      if (cursor.take('=')) {
        cursor.blanks();
        const value = cursor.match(QUOTED);
        if (value === undefined) return 'a label value is not in quotes, or its quotes are never closed';
        const text = utf8(unescaped(value));
        if (text === undefined) return 'a label value is not UTF-8';
        if (seen.has(labelName)) return 'a label is given twice';
        if (seen.size === MAX_LABELS) return `the series has more than ${MAX_LABELS} labels`;
        seen.add(labelName);
        labels.push([labelName, text]);
      } else if (quoted !== undefined && name === undefined) {
        name = labelName;
      } else {
        return 'a label has no value';
      }
      cursor.blanks();
      if (cursor.take(',')) continue;
      cursor.blanks();
      if (cursor.take('}')) break;
      return 'a comma or } is missing behind a label';
    }
  }
  if (name === undefined || name === '') return 'the line does not begin with a metric name';
  const namesEnd = cursor.at;
  cursor.blanks();
  if (cursor.at === line.length) return 'the value is missing';
  if (cursor.at === namesEnd && line[namesEnd - 1] !== '}' && !/[ \t]/.test(line[namesEnd - 1] ?? ''))
    return 'a metric name has letters, digits, _ and : only';
  return { name, labels, valueStart: cursor.at };
}
