/** What the readers of the input formats have in common. */
import { KwError } from '../errors.ts';
import { parseTimeUs } from '../time.ts';
import type { Line } from './lines.ts';
import type { PushDefaults, PushRow, Refusal } from './pushRow.ts';

/** How the lines of one input become rows. */
export interface RowReader {
  /** What this line completes: mostly one row; nothing for comments and for records that go on. */
  read(line: Line): (PushRow | Refusal)[];
  /** What the end of the input completes. */
  end(): (PushRow | Refusal)[];
}

export interface ReaderOptions {
  readonly defaults: PushDefaults;
  /** IANA name for times without an offset; undefined is that of the process. */
  readonly timeZone: string | undefined;
}

/** Why a line cannot be read; caught where its number is known. */
export class LineError extends Error {}

/** A time as src/lib/time.ts reads it; undefined when the text is empty. */
export function readTime(text: string, { defaults, timeZone }: ReaderOptions): number | undefined {
  if (text === '') return undefined;
  try {
    return parseTimeUs(text, { nowUs: defaults.timestampUs, timeZone });
  } catch (error) {
    if (!(error instanceof KwError)) throw error;
    throw new LineError(error.hint === undefined ? error.message : `${error.message} (${error.hint})`);
  }
}

/** User's text inside a message: escaped and cut. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** Labels out of a JSON value: texts, numbers and truth values, as the database takes them. */
export function readLabels(value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw new LineError('labels are not a JSON object');
  return Object.fromEntries(
    Object.entries(value).map(([name, label]: [string, unknown]) => {
      if (typeof label !== 'string' && typeof label !== 'number' && typeof label !== 'boolean')
        throw new LineError(`the label ${quoted(name)} is neither text nor a number`);
      return [name, String(label)];
    }),
  );
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new LineError(`${quoted(text)} is not JSON`);
  }
}
