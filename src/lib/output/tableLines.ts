/** A table that has no end: lines as they come, in columns that grow with what they hold. */
import { printable } from '../printable.ts';
import { formatLocal } from '../time.ts';
import { ByteWriter } from './byteWriter.ts';
import type { RowSeries, RowWriter } from './row.ts';
import { shortLabels, valueText } from './table.ts';

const MILLISECONDS = 3;

export class TableLines implements RowWriter {
  rows = 0;
  readonly #out = new ByteWriter();
  readonly #timeZone: string;
  readonly #widths = [23, 12, 20, 10];

  constructor(timeZone: string) {
    this.#timeZone = timeZone;
    this.#line([`time (${timeZone})`, 'device', 'metric', 'value', 'labels']);
  }

  get pendingBytes(): number {
    return this.#out.pendingBytes;
  }

  take(): Buffer | undefined {
    return this.#out.take();
  }

  row(timestampUs: number, series: RowSeries, value: number): void {
    this.rows++;
    this.#line([
      formatLocal(timestampUs, this.#timeZone, MILLISECONDS),
      printable(series.deviceId),
      printable(series.metricId),
      valueText({ value, series }),
      shortLabels(series.labels),
    ]);
  }

  end(): void {}

  /** The value, fourth, is aligned to the right. */
  #line(cells: readonly string[]): void {
    const padded = cells.map((cell, index) => {
      const width = Math.max(this.#widths[index] ?? 0, cell.length);
      if (index < this.#widths.length) this.#widths[index] = width;
      return index === 3 ? cell.padStart(width) : index < 3 ? cell.padEnd(width) : cell;
    });
    this.#out.text(`${padded.join('  ').trimEnd()}\n`);
  }
}
