/** Followed rows to the standard output, as they come. */
import { KwError } from '../errors.ts';
import { CsvWriter } from '../output/csv.ts';
import { type Destination, OutputClosed } from '../output/destination.ts';
import { JsonWriter } from '../output/json.ts';
import type { RowWriter } from '../output/row.ts';
import { TableLines } from '../output/tableLines.ts';
import type { LiveRow } from './rows.ts';
import type { FollowRequest, FollowSource } from './source.ts';

export interface FollowOptions {
  readonly format: 'table' | 'csv' | 'ndjson';
  /** Of tables. */
  readonly timeZone: string;
  /** End after so many rows. */
  readonly limit: number | undefined;
  warn(message: string): void;
}

/** Rows that wait for a reader of the output that does not read. */
const MAX_WAITING_ROWS = 500_000;

/**
 * Resolves after the signal, after `limit` rows, or when nobody reads the output any more.
 * @throws KwError OUTPUT_SLOW, OUTPUT_FAILED, those of the source
 */
export async function follow(
  source: FollowSource,
  request: FollowRequest,
  output: Destination,
  options: FollowOptions,
  signal: AbortSignal,
): Promise<void> {
  const writer = makeWriter(options);
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  let failure: unknown;
  const fail = (error: unknown) => {
    failure ??= error;
    stop.abort();
  };
  let waiting = 0;
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  let written = Promise.resolve();
  const write = (rows: readonly LiveRow[]) => {
    waiting += rows.length;
    if (waiting > MAX_WAITING_ROWS) {
      fail(new KwError('the reader of the output is slower than the rows come', { code: 'OUTPUT_SLOW' }));
      return;
    }
    written = written.then(async () => {
      for (const { timestampUs, series, value } of rows) writer.row(timestampUs, series, value);
      const bytes = writer.take();
      if (bytes !== undefined) await output.write(bytes);
      waiting -= rows.length;
    });
    written.catch(fail);
  };
  try {
    await source(
      request,
      {
        // The head of a table.
        open: () => write([]),
        rows: (rows) => {
          if (left <= 0) return;
          write(rows.slice(0, left));
          left -= Math.min(rows.length, left);
          if (left <= 0) stop.abort();
        },
        warning: options.warn,
      },
      ended,
    );
    await written.catch(fail);
    if (failure === undefined) await output.close();
  } catch (error) {
    failure ??= error;
  }
  if (failure !== undefined && !(failure instanceof OutputClosed)) throw failure;
}

function makeWriter({ format, timeZone }: FollowOptions): RowWriter {
  if (format === 'table') return new TableLines(timeZone);
  return format === 'csv' ? new CsvWriter() : new JsonWriter({ array: false });
}
