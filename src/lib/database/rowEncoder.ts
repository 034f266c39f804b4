/**
 * Rows of kw.metrics in the binary format of COPY (PostgreSQL documentation, "COPY", File Formats, Binary Format).
 *
 * The two columns that change come first, at fixed offsets; the rest of a row is the same for every sample of a
 * series. So the encoded row is kept by Series object as a template, and a sample costs a copy and two numbers:
 *
 *   offset  0  int16  number of columns: 5
 *           2  int32  8, then int64 timestamp, microseconds since 2000-01-01T00:00:00Z
 *          14  int32  8, then float64 value
 *          26  int32 length, UTF-8 device_id
 *           .  int32 length, UTF-8 metric_id
 *           .  int32 length, byte 1 (version of jsonb), UTF-8 JSON text
 */
import { labelsProblem, nameProblem } from '../limits.ts';
import type { Labels, Sample, Series } from '../sample.ts';

/** The order of columns in the encoded rows; the statement is sql/queries/collector_copy.sql. */
const COPY_COLUMNS = ['timestamp', 'value', 'device_id', 'metric_id', 'labels'] as const;

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');

/** Signature, flags, length of the extension. */
export const COPY_HEADER: Buffer = Buffer.concat([SIGNATURE, Buffer.alloc(8)]);
/** A number of columns of -1. */
export const COPY_TRAILER: Buffer = Buffer.from([0xff, 0xff]);

const TIMESTAMP_OFFSET = 6;
const VALUE_OFFSET = 18;
const TEXT_OFFSET = 26;
const JSONB_VERSION = 1;

/** 2000-01-01T00:00:00Z, where PostgreSQL's time begins. */
const POSTGRES_EPOCH_US = 946_684_800_000_000;
const TWO_TO_32 = 2 ** 32;

/** An encoded row without its time and value. */
export type RowTemplate = Uint8Array;

/** Encodes a series. Its names and labels must be within the limits (src/lib/limits.ts). */
export function makeTemplate(series: Series): RowTemplate {
  const device = Buffer.from(series.deviceId);
  const metric = Buffer.from(series.metricId);
  const labels = Buffer.from(JSON.stringify(series.labels));
  const row = Buffer.alloc(TEXT_OFFSET + 4 + device.length + 4 + metric.length + 5 + labels.length);
  row.writeInt16BE(COPY_COLUMNS.length, 0);
  row.writeInt32BE(8, 2);
  row.writeInt32BE(8, 14);
  let offset = row.writeInt32BE(device.length, TEXT_OFFSET);
  offset += device.copy(row, offset);
  offset = row.writeInt32BE(metric.length, offset);
  offset += metric.copy(row, offset);
  offset = row.writeInt32BE(labels.length + 1, offset);
  offset = row.writeUInt8(JSONB_VERSION, offset);
  labels.copy(row, offset);
  return row;
}

/** Templates by Series object: forgotten with the object. */
export class TemplateCache {
  readonly #templates = new WeakMap<Series, RowTemplate | string>();

  /**
   * The template of a series, or the sentence why it cannot be stored.
   * `onNew` is called the first time an object is seen, if it can be stored.
   */
  get(series: Series, onNew?: (series: Series) => void): RowTemplate | string {
    const known = this.#templates.get(series);
    if (known !== undefined) return known;
    const problem =
      nameProblem('device', series.deviceId) ??
      nameProblem('metric', series.metricId) ??
      labelsProblem(series.labels);
    const made = problem ?? makeTemplate(series);
    this.#templates.set(series, made);
    if (problem === undefined) onNew?.(series);
    return made;
  }
}

/**
 * The rows of one device that are gathered for a batch. A device is mostly read in the same way each time: the same
 * series in the same order. Then all its rows are copied as one block, and only times and values are written.
 */
export class RowGroup {
  /** Series and template of each row. Beyond `#rows` they are what the last batch left: to compare with. */
  readonly #series: Series[] = [];
  readonly #templates: RowTemplate[] = [];
  /** Time and value of each row, in turn. An array of numbers only: the engine keeps them unboxed. */
  readonly #numbers: number[] = [];
  #rows = 0;
  /** Rows of the last batch: their templates are the first of #templates. */
  #lastRows = 0;
  #changed = false;
  /** The templates of the last batch one after another, once two batches were alike. */
  #block: Uint8Array | undefined;

  get rows(): number {
    return this.#rows;
  }

  /** The template of this series if it was the next row of the last batch too, which spares a look into the cache. */
  expected(series: Series): RowTemplate | undefined {
    return this.#series[this.#rows] === series ? this.#templates[this.#rows] : undefined;
  }

  add(series: Series, template: RowTemplate, timestampUs: number, value: number): void {
    const row = this.#rows++;
    if (this.#series[row] !== series) {
      this.#series[row] = series;
      this.#templates[row] = template;
      this.#changed = true;
    }
    this.#numbers[2 * row] = timestampUs;
    this.#numbers[2 * row + 1] = value;
  }

  /** Writes the rows at `offset` and forgets them; returns the offset behind them. Both are over the same memory. */
  write(bytes: Uint8Array, view: DataView, offset: number): number {
    const same = !this.#changed && this.#rows === this.#lastRows;
    if (!same) this.#block = undefined;
    if (this.#block) bytes.set(this.#block, offset);
    let at = offset;
    for (let row = 0; row < this.#rows; row++) {
      const template = this.#templates[row] as RowTemplate;
      if (this.#block === undefined) bytes.set(template, at);
      writeRowNumbers(view, at, this.#numbers[2 * row] as number, this.#numbers[2 * row + 1] as number);
      at += template.length;
    }
    if (same && this.#block === undefined) this.#block = bytes.slice(offset, at);
    this.#series.length = this.#rows;
    this.#templates.length = this.#rows;
    this.#lastRows = this.#rows;
    this.#rows = 0;
    this.#changed = false;
    return at;
  }
}

/** Time and value of an encoded row. */
export function writeRowNumbers(view: DataView, offset: number, timestampUs: number, value: number): void {
  const sinceUs = timestampUs - POSTGRES_EPOCH_US;
  const high = Math.floor(sinceUs / TWO_TO_32);
  view.setInt32(offset + TIMESTAMP_OFFSET, high);
  view.setUint32(offset + TIMESTAMP_OFFSET + 4, sinceUs - high * TWO_TO_32);
  view.setFloat64(offset + VALUE_OFFSET, value);
}

/** Where the rows of an encoded COPY stream begin, and where the last one ends (the trailer's offset). */
export function rowOffsets(copy: Buffer): number[] {
  const offsets = [];
  let offset = COPY_HEADER.length;
  while (copy.readInt16BE(offset) === COPY_COLUMNS.length) {
    offsets.push(offset);
    offset += 2;
    for (let column = 0; column < COPY_COLUMNS.length; column++) offset += 4 + copy.readInt32BE(offset);
  }
  offsets.push(offset);
  return offsets;
}

/** The bytes of the device_id of the row at `offset`, not copied. */
export function deviceBytesAt(copy: Buffer, offset: number): Buffer {
  const start = offset + TEXT_OFFSET + 4;
  return copy.subarray(start, start + copy.readInt32BE(offset + TEXT_OFFSET));
}

/** Microseconds since the epoch, of the row at `offset`. */
export function timestampAt(copy: Buffer, offset: number): number {
  const high = copy.readInt32BE(offset + TIMESTAMP_OFFSET);
  const low = copy.readUInt32BE(offset + TIMESTAMP_OFFSET + 4);
  return high * TWO_TO_32 + low + POSTGRES_EPOCH_US;
}

/** Reads back the row at `offset`: for messages about rows that the server refused. */
export function decodeRow(copy: Buffer, offset: number): Sample {
  let at = offset + TEXT_OFFSET;
  const text = (): string => {
    const length = copy.readInt32BE(at);
    const start = at + 4;
    at = start + length;
    return copy.toString('utf8', start, at);
  };
  const deviceId = text();
  const metricId = text();
  const labels = JSON.parse(text().slice(1)) as Labels;
  return {
    series: { deviceId, metricId, labels },
    timestampUs: timestampAt(copy, offset),
    value: copy.readDoubleBE(offset + VALUE_OFFSET),
  };
}
