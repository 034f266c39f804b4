/**
 * One column a device and metric, one line a timestamp. The columns are known before the first row; a value that
 * is not there is an empty field in CSV and null in JSON.
 */
import { ByteWriter } from './byteWriter.ts';
import { csvField } from './csv.ts';
import type { RowSeries, RowWriter } from './row.ts';

/** Where a row's value goes. */
export interface WideColumns {
  /** In order, without the timestamp. */
  readonly names: readonly string[];
  /** Index into `names`; undefined for a series that has no column. */
  indexOf(series: RowSeries): number | undefined;
}

/**
 * `device/metric`, with the labels behind where one device has a metric several times:
 * `node-1/prom_node_cpu_seconds_total{cpu="0",mode="idle"}`. Sorted by device, then metric, then labels; numbers in them
 * by size: outlet 2 before outlet 10.
 * @param keyOf series with the same key share a column
 */
export function wideColumns(
  series: Iterable<RowSeries>,
  keyOf: (series: RowSeries) => string = (one) => one.labels,
): WideColumns {
  const byName = new Map<string, Map<string, RowSeries>>();
  for (const one of series) {
    const name = plainName(one);
    const same = byName.get(name) ?? new Map<string, RowSeries>();
    byName.set(name, same.set(keyOf(one), one));
  }
  const columns = [...byName].flatMap(([name, same]) =>
    [...same].map(([key, one]) => {
      const labels = labelText(one.labels);
      return {
        name: same.size === 1 ? name : name + labels,
        id: name + key,
        order: [one.deviceId, one.metricId, labels],
      };
    }),
  );
  const collator = new Intl.Collator('en', { numeric: true });
  columns.sort((a, b) => compareParts(collator, a.order, b.order));
  const indexes = new Map(columns.map(({ id }, index) => [id, index]));
  return {
    names: columns.map(({ name }) => name),
    indexOf: (one) => indexes.get(plainName(one) + keyOf(one)),
  };
}

export type WideFormat = 'csv' | 'json' | 'ndjson';

export class WideWriter implements RowWriter {
  rows = 0;
  readonly #out = new ByteWriter();
  readonly #format: WideFormat;
  readonly #columns: WideColumns;
  /** JSON keys, in order of the columns. */
  readonly #keys: Buffer[];
  /** Values of the present timestamp by column; a column without one is not in it. */
  readonly #values = new Map<number, number>();
  readonly #indexes: { series: RowSeries; index: number | undefined }[] = [];
  #timestampUs = Number.NaN;

  constructor(columns: WideColumns, format: WideFormat) {
    this.#columns = columns;
    this.#format = format;
    this.#keys = columns.names.map((name) => Buffer.from(`,${JSON.stringify(name)}:`));
    if (format === 'csv') this.#out.text(`${['timestamp', ...columns.names].map(csvField).join(',')}\n`);
    if (format === 'json') this.#out.text('[');
  }

  get pendingBytes(): number {
    return this.#out.pendingBytes;
  }

  take(): Buffer | undefined {
    return this.#out.take();
  }

  row(timestampUs: number, series: RowSeries, value: number): void {
    let known = this.#indexes[series.id];
    if (known?.series !== series) {
      known = { series, index: this.#columns.indexOf(series) };
      this.#indexes[series.id] = known;
    }
    if (known.index === undefined) return;
    // Two values for one column at one time make two lines: none is dropped.
    if (timestampUs !== this.#timestampUs || this.#values.has(known.index)) this.#flush();
    this.#timestampUs = timestampUs;
    this.#values.set(known.index, value);
  }

  end(): void {
    this.#flush();
    if (this.#format === 'json') this.#out.text(this.rows === 0 ? ']\n' : '\n]\n');
  }

  #flush(): void {
    if (this.#values.size === 0) return;
    if (this.#format === 'csv') this.#csvLine();
    else this.#jsonLine();
    this.rows++;
    this.#values.clear();
  }

  #csvLine(): void {
    const out = this.#out;
    out.timestamp(this.#timestampUs);
    for (let column = 0; column < this.#keys.length; column++) {
      out.text(',');
      const value = this.#values.get(column);
      if (value !== undefined) out.number(value);
    }
    out.text('\n');
  }

  #jsonLine(): void {
    const out = this.#out;
    if (this.#format === 'json') out.text(this.rows === 0 ? '\n' : ',\n');
    out.text('{"timestamp":"');
    out.timestamp(this.#timestampUs);
    out.text('"');
    this.#keys.forEach((key, column) => {
      out.bytes(key);
      const value = this.#values.get(column);
      if (value !== undefined && Number.isFinite(value)) out.number(value);
      else out.text('null');
    });
    out.text(this.#format === 'json' ? '}' : '}\n');
  }
}

function compareParts(collator: Intl.Collator, a: readonly string[], b: readonly string[]): number {
  for (const [index, part] of a.entries()) {
    const difference = collator.compare(part, b[index] ?? '');
    if (difference !== 0) return difference;
  }
  return 0;
}

function plainName({ deviceId, metricId }: RowSeries): string {
  return `${deviceId}/${metricId}`;
}

/** Labels as Prometheus writes them: `{cpu="0",mode="idle"}`; nothing where there are none. */
function labelText(labels: string): string {
  const entries = Object.entries(JSON.parse(labels) as Record<string, unknown>);
  if (entries.length === 0) return '';
  const text = entries.map(
    ([name, value]) => `${name}=${JSON.stringify(typeof value === 'string' ? value : JSON.stringify(value))}`,
  );
  return `{${text.join(',')}}`;
}
