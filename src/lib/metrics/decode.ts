/**
 * Rows of a binary COPY of `timestamp, value, device_id, metric_id, labels [, min, max, count, count_not_finite]`.
 * The three texts lie together at the end of a row's fixed part, and their bytes are the key of the series: they
 * are decoded once a series, not once a row.
 *
 * Format: PostgreSQL documentation, COPY, "Binary Format".
 */
import type { RowSeries, SummaryFields } from '../output/row.ts';

/** PostgreSQL counts microseconds from 2000-01-01. */
const POSTGRES_EPOCH_US = 946_684_800_000_000;
const HEADER_BYTES = 19;
const TWO_32 = 4_294_967_296;
/** Offsets in a row: int16 count of fields, then int32 length and bytes of each. */
const TIMESTAMP_AT = 6;
const VALUE_LENGTH_AT = 14;
const VALUE_AT = 18;
const TEXTS_AT = 26;
const NULL_TEXTS_AT = 18;
/** First byte of the int16 -1 that stands in place of a count of fields. */
const TRAILER = 0xff;
const TRAILER_BYTES = 2;
/** Labels that may differ in every row of a series. */
const VOLATILE_LABELS = ['value_str', '_metric_scrape_time', '_timestamp'];
const VOLATILE = new RegExp(VOLATILE_LABELS.map((name) => `"${name}":`).join('|'));
/** Series with such labels are forgotten from time to time, or they would fill the memory. */
const MAX_VOLATILE_SERIES = 10_000;

/** Receives decoded rows. `series` is the same object for the same device, metric and labels. */
export type OnRow = (timestampUs: number, value: number, series: RowSeries, summary?: SummaryFields) => void;

/** Numbers for series; see RowSeries.id. */
export class SeriesIds {
  #next = 0;

  next(): number {
    return this.#next++;
  }
}

/** Whether labels hold what may differ in every row. */
export function isVolatile(labels: string): boolean {
  return VOLATILE.test(labels);
}

/** The labels that make a series, as an object without the volatile ones. */
export function stableLabels(labels: string): Record<string, unknown> {
  const parsed = JSON.parse(labels) as Record<string, unknown>;
  for (const name of VOLATILE_LABELS) delete parsed[name];
  return parsed;
}

export class RowDecoder {
  readonly #onRow: OnRow;
  readonly #summary: boolean;
  readonly #ids: SeriesIds;
  readonly #series = new Map<string, RowSeries>();
  /** Those with volatile labels. Their ids are used again when they are forgotten. */
  readonly #volatile = new Map<string, RowSeries>();
  readonly #volatileIds: number[] = [];
  #expectHeader = true;

  constructor(onRow: OnRow, { summary = false, ids = new SeriesIds() } = {}) {
    this.#onRow = onRow;
    this.#summary = summary;
    this.#ids = ids;
  }

  /** `rows` holds whole rows only, of one COPY or of several that follow each other. */
  decode(rows: Buffer): void {
    let at = 0;
    while (at < rows.length) {
      if (this.#expectHeader) {
        at += HEADER_BYTES;
        this.#expectHeader = false;
      } else if (rows[at] === TRAILER) {
        at += TRAILER_BYTES;
        this.#expectHeader = true;
      } else {
        at = this.#row(rows, at);
      }
    }
  }

  /** @returns where the next row begins */
  #row(rows: Buffer, at: number): number {
    const high = int32(rows, at + TIMESTAMP_AT);
    const low = int32(rows, at + TIMESTAMP_AT + 4) >>> 0;
    let timestampUs = high * TWO_32 + low + POSTGRES_EPOCH_US;
    if (high === 0x7fffffff && low === 0xffffffff) timestampUs = Number.POSITIVE_INFINITY;
    else if (high === -0x80000000 && low === 0) timestampUs = Number.NEGATIVE_INFINITY;

    const hasValue = int32(rows, at + VALUE_LENGTH_AT) === 8;
    const value = hasValue ? rows.readDoubleBE(at + VALUE_AT) : Number.NaN;
    const device = at + (hasValue ? TEXTS_AT : NULL_TEXTS_AT);
    const metric = device + 4 + int32(rows, device);
    const labels = metric + 4 + int32(rows, metric);
    const end = labels + 4 + int32(rows, labels);

    const key = (rows as LatinBuffer).latin1Slice(device, end);
    const series =
      this.#series.get(key) ??
      this.#volatile.get(key) ??
      this.#remember(key, {
        deviceId: rows.toString('utf8', device + 4, metric),
        metricId: rows.toString('utf8', metric + 4, labels),
        // The first byte of jsonb is its version.
        labels: compactJson(rows.toString('utf8', labels + 5, end)),
      });
    if (!this.#summary) {
      this.#onRow(timestampUs, value, series);
      return end;
    }
    const figures: number[] = [];
    let next = end;
    for (let i = 0; i < 4; i++) {
      const length = int32(rows, next);
      figures.push(length === 8 ? rows.readDoubleBE(next + 4) : Number.NaN);
      next += 4 + Math.max(length, 0);
    }
    const [min = Number.NaN, max = Number.NaN, count = 0, countNotFinite = 0] = figures;
    this.#onRow(timestampUs, value, series, { min, max, count, countNotFinite });
    return next;
  }

  #remember(key: string, texts: Omit<RowSeries, 'id'>): RowSeries {
    if (!isVolatile(texts.labels)) {
      const series = { id: this.#ids.next(), ...texts };
      this.#series.set(key, series);
      return series;
    }
    if (this.#volatile.size >= MAX_VOLATILE_SERIES) this.#volatile.clear();
    const place = this.#volatile.size;
    this.#volatileIds[place] ??= this.#ids.next();
    const series = { id: this.#volatileIds[place], ...texts };
    this.#volatile.set(key, series);
    return series;
  }
}

/** Buffer's own method behind toString('latin1'), without the latter's checks: it runs once a row. */
type LatinBuffer = Buffer & { latin1Slice(start: number, end: number): string };

/** As readInt32BE, without its checks. */
function int32(bytes: Buffer, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  );
}

/** Removes the blanks that jsonb prints after commas and colons; numbers and texts stay as they are. */
export function compactJson(text: string): string {
  return text.replace(/("(?:[^"\\]|\\.)*")|\s+/g, '$1');
}
