/**
 * Values as CSV (RFC 4180) with a header. The columns are those of kw's own export, in any order; only `value`
 * must be there. `labels` holds a JSON object; `label.NAME` is one label.
 *
 * A field in quotes may go on over several lines. A stray quote would swallow good lines with it: when what it opens
 * makes no record, or has not ended after MAX_RECORD_LINES, only its own line is refused and the others are read again.
 */
import { isUtf8 } from 'node:buffer';
import { parseValue } from '../devices/prometheus/numbers.ts';
import { closest } from '../didYouMean.ts';
import { KwError } from '../errors.ts';
import type { Line } from './lines.ts';
import { makeRow, type PushFields, type PushRow, type Refusal } from './pushRow.ts';
import {
  LineError,
  parseJson,
  quoted,
  type ReaderOptions,
  type RowReader,
  readLabels,
  readTime,
} from './rowReader.ts';

const COLUMNS = ['timestamp', 'device_id', 'metric_id', 'value', 'labels'];
const LABEL_PREFIX = 'label.';
const MAX_RECORD_LINES = 100;

interface TextLine {
  readonly number: number;
  readonly text: string;
}

export class CsvReader implements RowReader {
  readonly #options: ReaderOptions;
  #columns: readonly string[] | undefined;
  /** Lines of a record whose quotes are still open. */
  #open: TextLine[] = [];

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  read({ number, bytes }: Line): (PushRow | Refusal)[] {
    if (!isUtf8(bytes)) return [...this.#giveUp(), { line: number, reason: 'the line is not UTF-8' }];
    return this.#line({ number, text: bytes.toString('utf8') });
  }

  end(): (PushRow | Refusal)[] {
    const rows: (PushRow | Refusal)[] = [];
    while (this.#open.length > 0) rows.push(...this.#giveUp());
    return rows;
  }

  #line(line: TextLine): (PushRow | Refusal)[] {
    if (this.#open.length === 0 && line.text.trim() === '') return [];
    this.#open.push(line);
    const record = splitRecord(this.#open.map(({ text }) => text).join('\n'));
    if (record === undefined) return this.#open.length < MAX_RECORD_LINES ? [] : this.#giveUp();
    // Several lines that make no sense together: the quote was a stray one, and most of them may be good.
    const fits = typeof record !== 'string' && record.length === (this.#columns ?? record).length;
    if (this.#open.length > 1 && !fits) return this.#giveUp();
    const [first = line] = this.#open;
    this.#open = [];
    return this.#record(first.number, record);
  }

  /** Refuses the line whose quote is not closed, and reads those behind it again. */
  #giveUp(): (PushRow | Refusal)[] {
    const [first, ...others] = this.#open;
    if (first === undefined) return [];
    this.#open = [];
    const reason = `a quote is opened and not closed: ${quoted(first.text)}`;
    return [{ line: first.number, reason }, ...others.flatMap((line) => this.#line(line))];
  }

  #record(line: number, record: readonly string[] | string): (PushRow | Refusal)[] {
    if (this.#columns === undefined) {
      this.#columns = readHeader(record);
      return [];
    }
    try {
      return [makeRow(line, this.#fields(record, this.#columns), this.#options.defaults)];
    } catch (error) {
      if (error instanceof LineError) return [{ line, reason: error.message }];
      throw error;
    }
  }

  #fields(record: readonly string[] | string, columns: readonly string[]): PushFields {
    if (typeof record === 'string') throw new LineError(record);
    if (record.length !== columns.length)
      throw new LineError(`the line has ${record.length} fields, and the header has ${columns.length}`);
    const labels = new Map<string, string>();
    let jsonLabels: Record<string, string> = {};
    let timestampUs: number | undefined;
    let deviceId: string | undefined;
    let metricId: string | undefined;
    let value: number | undefined;
    for (const [index, column] of columns.entries()) {
      const field = record[index] ?? '';
      if (column === 'timestamp') timestampUs = readTime(field.trim(), this.#options);
      else if (column === 'device_id') deviceId = field;
      else if (column === 'metric_id') metricId = field;
      else if (column === 'value') value = readValue(field.trim());
      else if (column === 'labels') jsonLabels = field.trim() === '' ? {} : readLabels(parseJson(field));
      else if (field !== '') labels.set(column.slice(LABEL_PREFIX.length), field);
    }
    return {
      timestampUs,
      deviceId,
      metricId,
      value,
      labels: { ...jsonLabels, ...Object.fromEntries(labels) },
    };
  }
}

function readValue(text: string): number | undefined {
  if (text === '') return undefined;
  const value = parseValue(text);
  if (value === undefined) throw new LineError(`the value ${quoted(text)} is not a number`);
  return value;
}

/** Without a header that makes sense nothing of the file does. */
function readHeader(record: readonly string[] | string): readonly string[] {
  if (typeof record === 'string') throw headerError(record);
  const columns = record.map((column) => column.trim());
  for (const [index, column] of columns.entries()) {
    if (columns.indexOf(column) !== index)
      throw headerError(`the column ${quoted(column)} stands there twice`);
    if (COLUMNS.includes(column)) continue;
    if (column.startsWith(LABEL_PREFIX) && column.length > LABEL_PREFIX.length) continue;
    const [near] = closest(column, COLUMNS);
    const hint =
      near === undefined
        ? `write ${LABEL_PREFIX}${column.slice(0, 60)} to make it a label`
        : `did you mean ${near}?`;
    throw headerError(`unknown column ${quoted(column)}: ${hint}`);
  }
  if (!columns.includes('value')) throw headerError('there is no column value');
  return columns;
}

function headerError(problem: string): KwError {
  return new KwError(`the header of the CSV input cannot be used: ${problem}`, {
    code: 'PUSH_FORMAT',
    hint: `columns are ${COLUMNS.join(', ')} and label.NAME, in any order; only value must be there`,
  });
}

/** The fields of a record; undefined when quotes are still open; a sentence when it is malformed. */
function splitRecord(text: string): string[] | string | undefined {
  if (!text.includes('"')) return text.split(',');
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    if (text[at] !== '"') {
      const comma = text.indexOf(',', at);
      fields.push(text.slice(at, comma < 0 ? undefined : comma));
      if (comma < 0) return fields;
      at = comma + 1;
      continue;
    }
    let field = '';
    for (at++; ; at += 2) {
      const quote = text.indexOf('"', at);
      if (quote < 0) return undefined;
      field += text.slice(at, quote);
      at = quote;
      if (text[at + 1] !== '"') break;
      field += '"';
    }
    fields.push(field);
    at++;
    if (at === text.length) return fields;
    if (text[at] !== ',') return 'there is text behind a field in quotes';
    at++;
  }
}
