/** What row writers share that put text around a number: that text is made once a series, not once a row. */
import { ByteWriter } from './byteWriter.ts';
import type { RowSeries } from './row.ts';

/** What stands before and after the value in every row of a series. */
export interface Prepared {
  readonly head: Buffer;
  readonly tail: Buffer;
}

export abstract class PreparedRows {
  rows = 0;
  protected readonly out = new ByteWriter();
  /** By id of series. */
  readonly #prepared: (Prepared & { readonly series: RowSeries })[] = [];

  get pendingBytes(): number {
    return this.out.pendingBytes;
  }

  take(): Buffer | undefined {
    return this.out.take();
  }

  protected prepared(series: RowSeries): Prepared {
    let prepared = this.#prepared[series.id];
    if (prepared?.series !== series) {
      prepared = { series, ...this.prepare(series) };
      this.#prepared[series.id] = prepared;
    }
    return prepared;
  }

  protected abstract prepare(series: RowSeries): Prepared;
}
