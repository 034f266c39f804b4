/**
 * JSON (one array, an object a line) and NDJSON (an object a line). Values are numbers; JSON has no NaN and no
 * infinity, so that these are null, and counted. The text of a text value is in the label `value_str`.
 */
import { type Prepared, PreparedRows } from './preparedRows.ts';
import type { RowSeries, RowWriter, SummaryFields } from './row.ts';

const TIMESTAMP = Buffer.from('{"timestamp":"');
const NULL = Buffer.from('null');
const CLOSE = 125; // '}'
const NEWLINE = 10;

export class JsonWriter extends PreparedRows implements RowWriter {
  /** Infinite values, written as null. */
  infinite = 0;
  readonly #array: boolean;
  readonly #min = Buffer.from(',"min":');
  readonly #max = Buffer.from(',"max":');
  readonly #count = Buffer.from(',"count":');
  readonly #countNotFinite = Buffer.from(',"count_not_finite":');

  readonly #shortTimestamps: boolean;

  /**
   * `array`: one JSON text for everything; otherwise NDJSON. `shortTimestamps`: with no more decimals than there are,
   * as PostgreSQL writes them; otherwise six.
   */
  constructor({ array, shortTimestamps = false }: { array: boolean; shortTimestamps?: boolean }) {
    super();
    this.#array = array;
    this.#shortTimestamps = shortTimestamps;
    if (array) this.out.text('[');
  }

  row(timestampUs: number, series: RowSeries, value: number, summary?: SummaryFields): void {
    const out = this.out;
    const prepared = this.prepared(series);
    if (this.#array) out.text(this.rows === 0 ? '\n' : ',\n');
    out.bytes(TIMESTAMP);
    if (this.#shortTimestamps) out.shortTimestamp(timestampUs);
    else out.timestamp(timestampUs);
    out.bytes(prepared.head);
    this.#number(value);
    out.bytes(prepared.tail);
    if (summary) {
      out.bytes(this.#min);
      this.#number(summary.min);
      out.bytes(this.#max);
      this.#number(summary.max);
      out.bytes(this.#count);
      out.number(summary.count);
      out.bytes(this.#countNotFinite);
      out.number(summary.countNotFinite);
    }
    out.byte(CLOSE);
    if (!this.#array) out.byte(NEWLINE);
    this.rows++;
  }

  end(): void {
    if (this.#array) this.out.text(this.rows === 0 ? ']\n' : '\n]\n');
  }

  #number(value: number): void {
    if (Number.isFinite(value)) {
      this.out.number(value);
    } else {
      if (!Number.isNaN(value)) this.infinite++;
      this.out.bytes(NULL);
    }
  }

  protected override prepare(series: RowSeries): Prepared {
    return {
      head: Buffer.from(
        `","device_id":${JSON.stringify(series.deviceId)},"metric_id":${JSON.stringify(series.metricId)},"value":`,
      ),
      tail: Buffer.from(`,"labels":${series.labels}`),
    };
  }
}
