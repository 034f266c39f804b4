/** Rows for people: aligned columns, local times, units, labels in short. */
import Table from 'cli-table3';
import { printable } from '../printable.ts';
import { formatLocal } from '../time.ts';
import { numberText } from './byteWriter.ts';
import { fitColumns } from './fit.ts';
import type { RowSeries, RowSink, SummaryFields } from './row.ts';
import type { WideColumns } from './wide.ts';

export interface TableOptions {
  readonly timeZone: string;
  readonly summary?: boolean | undefined;
  /** Unit of a metric of a device, such as `W`. */
  readonly unitOf?: (series: RowSeries) => string | undefined;
  readonly wide?: WideColumns | undefined;
  /** Of the terminal; undefined cuts nothing. */
  readonly width?: number | undefined;
}

const BORDERLESS = {
  chars: {
    top: '',
    'top-mid': '',
    'top-left': '',
    'top-right': '',
    bottom: '',
    'bottom-mid': '',
    'bottom-left': '',
    'bottom-right': '',
    left: '',
    'left-mid': '',
    mid: '',
    'mid-mid': '',
    right: '',
    'right-mid': '',
    middle: '  ',
  },
  style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
};

interface TableRow {
  readonly timestampUs: number;
  readonly series: RowSeries;
  readonly value: number;
  readonly summary: SummaryFields | undefined;
}

/** Keeps its rows until the end: give it a limit. */
export class TableSink implements RowSink {
  readonly #options: TableOptions;
  readonly #rows: TableRow[] = [];

  constructor(options: TableOptions) {
    this.#options = options;
  }

  get rows(): number {
    return this.#rows.length;
  }

  row(timestampUs: number, series: RowSeries, value: number, summary?: SummaryFields): void {
    this.#rows.push({ timestampUs, series, value, summary });
  }

  end(): void {}

  /** The whole table with a newline at its end; nothing without rows. */
  toString(): string {
    if (this.#rows.length === 0) return '';
    return this.#options.wide ? this.#wide(this.#options.wide) : this.#long();
  }

  #long(): string {
    const { timeZone, summary, unitOf } = this.#options;
    const digits = fractionDigits(this.#rows.map(({ timestampUs }) => timestampUs));
    const units = this.#rows.map(({ series }) => unitOf?.(series) ?? '');
    const labels = this.#rows.map(({ series }) => shortLabels(series.labels));
    const figures = (of: (row: TableRow) => number) =>
      alignNumbers(this.#rows.map((row) => numberFor(of(row))));
    const columns: Column[] = [
      {
        head: `time (${timeZone})`,
        cells: this.#rows.map((row) => formatLocal(row.timestampUs, timeZone, digits)),
      },
      { head: 'device', cells: this.#rows.map(({ series }) => printable(series.deviceId)) },
      { head: 'metric', cells: this.#rows.map(({ series }) => printable(series.metricId)) },
      { head: 'value', cells: alignNumbers(this.#rows.map(valueText)), right: true },
    ];
    if (units.some((unit) => unit !== '')) columns.push({ head: 'unit', cells: units.map(printable) });
    if (summary) {
      columns.push(
        { head: 'min', cells: figures((row) => row.summary?.min ?? Number.NaN), right: true },
        { head: 'max', cells: figures((row) => row.summary?.max ?? Number.NaN), right: true },
        { head: 'count', cells: figures((row) => row.summary?.count ?? 0), right: true },
      );
      if (this.#rows.some((row) => (row.summary?.countNotFinite ?? 0) > 0)) {
        columns.push({
          head: 'not finite',
          cells: figures((row) => row.summary?.countNotFinite ?? 0),
          right: true,
        });
      }
    }
    if (labels.some((text) => text !== '')) columns.push({ head: 'labels', cells: labels });
    return renderTable(columns, this.#options.width);
  }

  #wide(wide: WideColumns): string {
    const lines: { timestampUs: number; values: Map<number, number> }[] = [];
    for (const { timestampUs, series, value } of this.#rows) {
      const index = wide.indexOf(series);
      if (index === undefined) continue;
      let line = lines.at(-1);
      if (line?.timestampUs !== timestampUs || line.values.has(index)) {
        line = { timestampUs, values: new Map() };
        lines.push(line);
      }
      line.values.set(index, value);
    }
    const { timeZone, width } = this.#options;
    const tooLong =
      width !== undefined && wide.names.reduce((sum, name) => sum + name.length + 2, 26) > width;
    const digits = fractionDigits(lines.map(({ timestampUs }) => timestampUs));
    return renderTable([
      {
        head: `time (${timeZone})`,
        cells: lines.map((line) => formatLocal(line.timestampUs, timeZone, digits)),
      },
      // Numbers are narrow and names are long: in a terminal the parts of a name stand below each other.
      ...wide.names.map((name, index) => ({
        head: tooLong ? stacked(printable(name)) : printable(name),
        cells: alignNumbers(
          lines.map(({ values }) => {
            const value = values.get(index);
            return value === undefined ? '' : numberFor(value);
          }),
        ),
        right: true,
      })),
    ]);
  }
}

export interface Column {
  readonly head: string;
  readonly cells: readonly string[];
  /** Aligned to the right. */
  readonly right?: boolean | undefined;
}

/**
 * A table without borders, two blanks between columns, no blanks at line ends.
 * @param width of the terminal; undefined cuts nothing
 */
export function renderTable(whole: readonly Column[], width?: number | undefined): string {
  const columns = fitColumns(whole, width);
  const table = new Table({
    ...BORDERLESS,
    head: columns.map(({ head }) => head),
    colAligns: columns.map(({ right }) => (right ? 'right' : 'left')),
  });
  const count = columns[0]?.cells.length ?? 0;
  for (let row = 0; row < count; row++) table.push(columns.map(({ cells }) => cells[row] ?? ''));
  return `${table.toString().replace(/[ \t]+$/gm, '')}\n`;
}

/** Pads behind, so that decimal points stand below each other in a column that is aligned to the right. */
export function alignNumbers(texts: readonly string[]): string[] {
  const decimals = (text: string) => {
    if (!/^-?\d+(\.\d+)?$/.test(text)) return 0;
    const point = text.indexOf('.');
    return point < 0 ? 0 : text.length - point;
  };
  const most = Math.max(0, ...texts.map(decimals));
  return texts.map((text) => (/^-?\d/.test(text) ? text + ' '.repeat(most - decimals(text)) : text));
}

/** Six significant digits are enough for people; whole numbers are shown whole. */
export function numberFor(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) return numberText(value);
  const size = Math.abs(value);
  if (size >= 1e6) return value.toFixed(1);
  return size >= 1e-3 ? String(Number(value.toPrecision(6))) : numberText(Number(value.toPrecision(6)));
}

/** A text value is shown itself. */
export function valueText({ value, series }: Pick<TableRow, 'value' | 'series'>): string {
  if (!Number.isNaN(value) || !series.labels.includes('"value_str":')) return numberFor(value);
  const { value_str: text } = JSON.parse(series.labels) as Record<string, unknown>;
  return printable(String(text));
}

/** Device, metric and labels of a wide column, one below the other. */
function stacked(name: string): string {
  return name.replace(/^([^/]*\/)([^{]*)/, '$1\n$2').replace('{', '\n{');
}

/** As few as show every timestamp, of 0, 3 and 6. */
function fractionDigits(timestampsUs: readonly number[]): number {
  if (timestampsUs.every((us) => us % 1e6 === 0)) return 0;
  return timestampsUs.every((us) => us % 1e3 === 0) ? 3 : 6;
}

/** `mode=idle cpu=0`; the text of a text value stands in the value's column. */
export function shortLabels(labels: string): string {
  return Object.entries(JSON.parse(labels) as Record<string, unknown>)
    .filter(([name]) => name !== 'value_str')
    .map(([name, value]) => {
      const text = Array.isArray(value)
        ? value.join('+')
        : typeof value === 'string'
          ? value
          : JSON.stringify(value);
      return printable(`${name}=${text}`);
    })
    .join(' ');
}
