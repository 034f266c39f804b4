/** The columns of all streams: checked and written when a batch is closed. */
import type { RowTemplate, TemplateCache } from '../database/rowEncoder.ts';
import { timestampProblem } from '../limits.ts';
import type { Sample, Series } from '../sample.ts';
import { Column, type ColumnTally } from './column.ts';

/** What columns are held against when a batch is closed. */
export interface ColumnCheck {
  readonly nowUs: number;
  readonly limits: { readonly maxPastUs: number; readonly maxFutureUs: number };
  readonly templates: TemplateCache;
  readonly onRefused: (sample: Sample, problem: string) => void;
}

/** When the rows of a batch were measured. */
export interface BatchTimes {
  /** As days since 1970-01-01. */
  readonly days: Set<number>;
  fromUs: number;
  toUs: number;
}

const DAY_US = 86_400_000_000;

export class Columns {
  readonly #tally: ColumnTally;
  #columns: Column[] = [];
  readonly #closed = new Set<Column>();
  /** Whether #columns is sorted by device: the server then walks its index in order. */
  #sorted = true;

  /** @param fromUs who read before this read until then */
  constructor(fromUs = Number.NEGATIVE_INFINITY) {
    this.#tally = { rows: 0, fromUs, untilUs: Number.POSITIVE_INFINITY };
  }

  /** What is measured from then on is not taken: somebody else has it. */
  endAt(untilUs: number): void {
    this.#tally.untilUs = untilUs;
  }

  /** Rows in all columns. */
  get rows(): number {
    return this.#tally.rows;
  }

  open(series: Series, onClose: () => void): Column {
    const column = new Column(series, this.#tally, () => {
      this.#closed.add(column);
      onClose();
    });
    this.#columns.push(column);
    this.#sorted = false;
    return column;
  }

  /** Takes out what cannot be stored; adds the times of the rest to `times`, and returns its size in bytes. */
  check({ nowUs, limits, templates, onRefused }: ColumnCheck, times: BatchTimes): number {
    const { maxPastUs, maxFutureUs } = limits;
    const firstUs = nowUs - maxPastUs;
    const lastUs = nowUs + maxFutureUs;
    let bytes = 0;
    for (const column of this.#columns) {
      if (column.rows === 0) continue;
      const { series } = column;
      const template = templates.get(series);
      if (typeof template === 'string') {
        column.filter((timestampUs, value) => {
          onRefused({ series, timestampUs, value }, template);
          return false;
        });
        continue;
      }
      if (!addTimes(column, firstUs, lastUs, times)) {
        column.filter((timestampUs, value) => {
          const problem = timestampProblem(timestampUs, nowUs, maxPastUs, maxFutureUs);
          if (problem === undefined) return true;
          onRefused({ series, timestampUs, value }, problem);
          return false;
        });
        addTimes(column, firstUs, lastUs, times);
      }
      bytes += column.rows * template.length;
    }
    return bytes;
  }

  /** Writes every row at `offset`, device by device, and forgets them; returns the offset behind them. */
  write(templates: TemplateCache, bytes: Uint8Array, view: DataView, offset: number): number {
    this.#tidy();
    let at = offset;
    for (const column of this.#columns) {
      if (column.rows > 0) at = column.write(templates.get(column.series) as RowTemplate, bytes, view, at);
    }
    return at;
  }

  #tidy(): void {
    if (!this.#sorted) {
      this.#columns.sort((a, b) => (a.series.deviceId < b.series.deviceId ? -1 : 1));
      this.#sorted = true;
    }
    if (this.#closed.size === 0) return;
    this.#columns = this.#columns.filter((column) => column.rows > 0 || !this.#closed.delete(column));
  }
}

/** False when a timestamp is out of bounds, NaN included: then nothing is added. */
function addTimes(column: Column, firstUs: number, lastUs: number, times: BatchTimes): boolean {
  let fromUs = Number.POSITIVE_INFINITY;
  let toUs = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < column.rows; row++) {
    const timestampUs = column.timestampUs(row);
    if (!(timestampUs >= firstUs && timestampUs <= lastUs)) return false;
    if (timestampUs < fromUs) fromUs = timestampUs;
    if (timestampUs > toUs) toUs = timestampUs;
  }
  if (column.rows === 0) return true;
  const firstDay = Math.floor(fromUs / DAY_US);
  const lastDay = Math.floor(toUs / DAY_US);
  if (lastDay - firstDay <= 1) times.days.add(firstDay).add(lastDay);
  else
    for (let row = 0; row < column.rows; row++) times.days.add(Math.floor(column.timestampUs(row) / DAY_US));
  if (fromUs < times.fromUs) times.fromUs = fromUs;
  if (toUs > times.toUs) times.toUs = toUs;
  return true;
}
