/** CSV (RFC 4180, lines end with a newline): `timestamp,device_id,metric_id,value,labels`. */
import { ByteWriter } from './byteWriter.ts';
import { COLUMNS, type RowSeries, type RowWriter, SUMMARY_COLUMNS, type SummaryFields } from './row.ts';

const COMMA = 44;
const NEWLINE = 10;

/** What stands before and after the value in every row of a series. */
interface Prepared {
  readonly series: RowSeries;
  readonly head: Buffer;
  readonly tail: Buffer;
}

/** A field, in quotes only where it must be. A lone empty field is quoted too: it would be an empty line. */
export function csvField(text: string): string {
  return /[",\r\n]/.test(text) || text === '' ? `"${text.replaceAll('"', '""')}"` : text;
}

export class CsvWriter implements RowWriter {
  rows = 0;
  readonly #out = new ByteWriter();
  /** By id of series. */
  readonly #prepared: Prepared[] = [];

  constructor({ summary = false } = {}) {
    this.#out.text(`${(summary ? SUMMARY_COLUMNS : COLUMNS).join(',')}\n`);
  }

  get pendingBytes(): number {
    return this.#out.pendingBytes;
  }

  take(): Buffer | undefined {
    return this.#out.take();
  }

  row(timestampUs: number, series: RowSeries, value: number, summary?: SummaryFields): void {
    const out = this.#out;
    let prepared = this.#prepared[series.id];
    if (prepared?.series !== series) prepared = this.#prepare(series);
    out.timestamp(timestampUs);
    out.bytes(prepared.head);
    out.number(value);
    out.bytes(prepared.tail);
    if (summary) {
      for (const figure of [summary.min, summary.max, summary.count, summary.countNotFinite]) {
        out.byte(COMMA);
        out.number(figure);
      }
    }
    out.byte(NEWLINE);
    this.rows++;
  }

  end(): void {}

  #prepare(series: RowSeries): Prepared {
    const prepared = {
      series,
      head: Buffer.from(`,${csvField(series.deviceId)},${csvField(series.metricId)},`),
      tail: Buffer.from(`,${csvField(series.labels)}`),
    };
    this.#prepared[series.id] = prepared;
    return prepared;
  }
}
