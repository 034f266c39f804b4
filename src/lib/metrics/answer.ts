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
import { inSnapshot, readRows, readSeries } from './read.ts';
import { resolveSelection, type Selection } from './selection.ts';
import { silenceLines } from './silences.ts';
import { type StableSeries, StableSeriesMap } from './stableSeries.ts';

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

/** Rows as bytes to a destination, which stays open. Its reader is waited for. */
export async function writeAnswer(
  client: Client,
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
    client,
    request,
    limit,
    (columns) => {
      writer = makeWriter(format, request, columns);
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

/** Rows into any sink. `makeSink` is called once the columns of --wide are known. */
export async function answer(
  client: Client,
  request: QueryRequest,
  limit: number | undefined,
  makeSink: (columns: WideColumns | undefined, selection: Selection) => RowSink | Promise<RowSink>,
  flush: () => Promise<void> | undefined = () => undefined,
): Promise<Notes> {
  const now = nowUs();
  const selection = await resolveSelection(client, request, now);
  if (request.waitMs > 0) await waitUntilWritten(client, selection, request.waitMs);
  return await inSnapshot(client, async () => {
    const columns = request.wide ? await readColumns(client, selection) : undefined;
    const counter = new CountingSink(await makeSink(columns, selection));
    const options = { ...request, limit, limitByTime: request.wide };
    const read = await readRows(client, selection, options, counter, flush);
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
    const empty = counter.rows > 0 ? [] : await whyEmpty(client, selection, warnings);
    return { warnings, remark: lag.remark, empty, cut };
  });
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
async function readColumns(client: Client, selection: Selection): Promise<WideColumns> {
  const stable = new StableSeriesMap();
  const collect: RowSink = {
    row(_, series: RowSeries) {
      stable.of(series);
    },
    end() {},
  };
  await readSeries(client, selection, collect);
  return wideColumns(stable.all, (series) => String((stable.of(series) as StableSeries).index));
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
