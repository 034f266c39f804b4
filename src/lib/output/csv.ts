/** CSV (RFC 4180, lines end with a newline): `timestamp,device_id,metric_id,value,labels`. */
import { type Prepared, PreparedRows } from './preparedRows.ts';
import { COLUMNS, type RowSeries, type RowWriter, SUMMARY_COLUMNS, type SummaryFields } from './row.ts';

const COMMA = 44;
const NEWLINE = 10;

/** A field, in quotes only where it must be. A lone empty field is quoted too: it would be an empty line. */
export function csvField(text: string): string {
  return /[",\r\n]/.test(text) || text === '' ? `"${text.replaceAll('"', '""')}"` : text;
}

export class CsvWriter extends PreparedRows implements RowWriter {
  readonly #shortTimestamps: boolean;
  readonly #numbersOnly: boolean;

  /**
   * `shortTimestamps`: with no more decimals than there are, as PostgreSQL writes them; otherwise six. `numbersOnly`: the
   * field of a value that is no finite number is empty, as of SQL's NULL; otherwise it is NaN, Infinity or -Infinity.
   */
  constructor({ summary = false, shortTimestamps = false, numbersOnly = false } = {}) {
    super();
    this.#numbersOnly = numbersOnly;
    this.#shortTimestamps = shortTimestamps;
    this.out.text(`${(summary ? SUMMARY_COLUMNS : COLUMNS).join(',')}\n`);
  }

  row(timestampUs: number, series: RowSeries, value: number, summary?: SummaryFields): void {
    const out = this.out;
    const prepared = this.prepared(series);
    if (this.#shortTimestamps) out.shortTimestamp(timestampUs);
    else out.timestamp(timestampUs);
    out.bytes(prepared.head);
    if (!this.#numbersOnly || Number.isFinite(value)) out.number(value);
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

  protected override prepare(series: RowSeries): Prepared {
    return {
      head: Buffer.from(`,${csvField(series.deviceId)},${csvField(series.metricId)},`),
      tail: Buffer.from(`,${csvField(series.labels)}`),
    };
  }
}
