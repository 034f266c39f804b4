/**
 * One query from selection to last byte: what `kw query` and `kw export` share.
 */
import type { Client } from 'pg';
import { CsvWriter } from '../output/csv.ts';
import type { Destination } from '../output/destination.ts';
import { JsonWriter } from '../output/json.ts';
import type { RowSeries, RowSink, RowWriter, SummaryFields } from '../output/row.ts';
import { type WideColumns, WideWriter, wideColumns } from '../output/wide.ts';
import { nowUs } from '../time.ts';
import { findAbsences, whyDown } from './absent.ts';
import type { MissingOrigin } from './byDevice.ts';
import { whyEmpty } from './emptyAnswer.ts';
import type { QueryRequest } from './flags.ts';
import { findGaps } from './gaps.ts';
import { lagWarnings, waitUntilWritten } from './progress.ts';
import { inSnapshot, type ReadResult, readRows, readSeries } from './read.ts';
import { resolveSelection, type Selection } from './selection.ts';
import { silenceLines } from './silences.ts';
import { type StableSeries, StableSeriesMap } from './stableSeries.ts';
import { type MetricUnit, readUnits } from './units.ts';

export type MachineFormat = 'csv' | 'json' | 'ndjson';

/** What is to be said beside the rows. */
export interface Notes {
  /** The answer is or may be incomplete. */
  readonly warnings: readonly string[];
  /** Up to when it is complete, if it goes up to the present. */
  readonly remark: string | undefined;
  /** Why there are no rows. */
  readonly empty: readonly string[];
  /** There are more rows than the limit. */
  readonly cut: boolean;
}

const WRITE_BYTES = 64 * 1024;

/** What is known before the first row. */
export interface AnswerHead {
  /** All series, where columns were asked for. */
  readonly series?: readonly RowSeries[] | undefined;
  /** Empty unless they were asked for. */
  readonly units: readonly MetricUnit[];
}

export interface AnswerOptions {
  /** Stop after so many rows. */
  readonly limit: number | undefined;
  /** Whether the units of metrics are wanted. */
  readonly units: boolean;
}

/**
 * Gives the rows of a request to the sink that `makeSink` makes. The database does it (below), and so does a server
 * that has one: src/lib/remote/. `flush` is called after every few thousand rows, and waited for.
 */
export type Answer = (
  request: QueryRequest,
  options: AnswerOptions,
  makeSink: (head: AnswerHead) => RowSink,
  flush?: () => Promise<void> | undefined,
) => Promise<Notes>;

/** How an answer comes to its statements: each time a connection for as long as `use` takes. */
export interface StatementRunner {
  plain<T>(use: (client: Client) => Promise<T>): Promise<T>;
  /** In one snapshot: everything that is read is of one moment. */
  snapshot<T>(use: (client: Client) => Promise<T>): Promise<T>;
}

/** On one connection of its own. */
export function databaseAnswer(client: Client): Answer {
  return answerBy({
    plain: (use) => use(client),
    snapshot: (use) => inSnapshot(client, () => use(client)),
  });
}

/** Rows as bytes to a destination, which stays open. Its reader is waited for. */
export async function writeAnswer(
  answer: Answer,
  request: QueryRequest,
  format: MachineFormat,
  destination: Destination,
  { limit, onProgress }: { limit?: number | undefined; onProgress?: (rows: number) => void } = {},
): Promise<Notes & { rows: number }> {
  let writer: RowWriter | undefined;
  let begun = false;
  const flush = (): Promise<void> | undefined => {
    if (writer === undefined || (begun && writer.pendingBytes < WRITE_BYTES)) return undefined;
    onProgress?.(writer.rows);
    const bytes = writer.take();
    if (bytes === undefined) return undefined;
    begun = true;
    return destination.write(bytes);
  };
  const notes = await answer(
    request,
    { limit, units: false },
    ({ series }) => {
      writer = makeWriter(format, request, series && columnsOf(series));
      return writer;
    },
    flush,
  );
  const rest = writer?.take();
  if (rest !== undefined) await destination.write(rest);
  const warnings = [...notes.warnings];
  if (writer instanceof JsonWriter && writer.infinite > 0) {
    warnings.push(`${writer.infinite} infinite values are null: JSON has no such numbers, CSV has`);
  }
  return { ...notes, warnings, rows: writer?.rows ?? 0 };
}

/** An answer from the database, by whatever gives connections to it. */
export function answerBy(run: StatementRunner): Answer {
  return async (request, { limit, units }, makeSink, flush = () => undefined) => {
    const now = nowUs();
    const selection = await run.plain((client) => resolveSelection(client, request, now));
    if (request.waitMs > 0) await waitUntilWritten(run, selection, request.waitMs);
    return await run.snapshot(async (client) => {
      const devices = selection.devices && [...selection.devices.keys()];
      const head = {
        series: request.wide ? await allSeries(client, selection) : undefined,
        units: units ? await readUnits(client, devices) : [],
      };
      const counter = new CountingSink(makeSink(head));
      const options = { ...request, limit, limitByTime: request.wide };
      const read = await readRows(client, selection, options, counter, flush);
      return await notesOf(client, { request, selection, read, isEmpty: counter.rows === 0, now });
    });
  };
}

interface AnswerRead {
  readonly request: QueryRequest;
  readonly selection: Selection;
  readonly read: ReadResult;
  readonly isEmpty: boolean;
  readonly now: number;
}

/** What is to be said of rows that were read. Call it in their snapshot. */
async function notesOf(
  client: Client,
  { request, selection, read, isEmpty, now }: AnswerRead,
): Promise<Notes> {
  const { cut } = read;
  const lag = await lagWarnings(client, selection, now, request.waitMs);
  const absent = await findAbsences(client, selection, read.seen, cut);
  const seen = cut && selection.devices === undefined ? undefined : absent.seen;
  const gaps = await findGaps(client, selection, now, seen);
  // Some rows only, or rows of five minutes, say nothing of how devices answered.
  const isWhole = !cut && !request.summary && selection.labels === undefined;
  const silences = isWhole
    ? silenceLines({
        selection,
        spacings: read.spacings,
        configured: absent.expected,
        completeUpToUs: lag.completeUpToUs,
        told: gaps.times,
        whyNow: whyDown,
      })
    : [];
  const warnings = [
    ...selection.jobs.flatMap(({ problem }) => problem ?? []),
    ...notInJobsWarning(selection),
    ...lag.warnings,
    ...gaps.warnings,
    ...absent.warnings,
    ...silences,
    ...read.missingOrigins.map(describeMissing),
  ];
  const empty = isEmpty ? await whyEmpty(client, selection, warnings) : [];
  return { warnings, remark: lag.remark, empty, cut };
}

function makeWriter(
  format: MachineFormat,
  request: QueryRequest,
  columns: WideColumns | undefined,
): RowWriter {
  if (columns !== undefined) return new WideWriter(columns, format);
  return format === 'csv' ? new CsvWriter(request) : new JsonWriter({ array: format === 'json' });
}

/** Columns of --wide: one for each stable series. */
export function columnsOf(series: readonly RowSeries[]): WideColumns {
  const stable = new StableSeriesMap();
  for (const one of series) stable.of(one);
  return wideColumns(stable.all, (one) => String((stable.of(one) as StableSeries).index));
}

async function allSeries(client: Client, selection: Selection): Promise<RowSeries[]> {
  const all: RowSeries[] = [];
  const collect: RowSink = {
    row(_, series) {
      all.push(series);
    },
    end() {},
  };
  await readSeries(client, selection, collect);
  return all;
}

function notInJobsWarning({ notInJobs, jobs, devices }: Selection): string[] {
  if (notInJobs.length === 0 || devices?.size === 0) return [];
  return [`${notInJobs.join(', ')}: no node of ${jobs.length === 1 ? 'the job' : 'these jobs'} in this time`];
}

function describeMissing({ alias, metricId, origin, rows, of }: MissingOrigin): string {
  return `${alias} ${metricId}: ${origin} is missing in ${rows} of ${of} values, which are the sum of the others (see _device_orig)`;
}

class CountingSink implements RowSink {
  rows = 0;
  readonly #next: RowSink;

  constructor(next: RowSink) {
    this.#next = next;
  }

  row(timestampUs: number, series: RowSeries, value: number, summary?: SummaryFields): void {
    this.rows++;
    this.#next.row(timestampUs, series, value, summary);
  }

  end(): void {
    this.#next.end();
  }
}
