/**
 * Sends what waits in a spool, oldest first, each part once.
 *
 *   record -> part (place in the spool) -> database --stored, or stored before--> refused rows set aside -> acknowledged
 *                                          |        `--fails whole: its halves are sent, down to single rows
 *                                          `--away: everything stays; the same part is sent the next time
 *
 * Whatever is cut off between two of these steps is done again, and the database knows by the place of the part that it
 * has it. Only a row that was set aside may be written into refused.ndjson twice.
 */

import type { Place, RefusedRow, StoredRecord } from '../spool/model.ts';
import type { Spool } from '../spool/spool.ts';
import { formatUtc } from '../time.ts';
import { type PushColumns, sliceColumns } from './columns.ts';
import type { Refusal } from './pushRow.ts';
import { type PartRefusal, PartRefused, type SpoolSink } from './spooledPart.ts';
import { fromRecord, type SpooledRows } from './spoolRecord.ts';

export interface SenderListeners {
  /** After each part: how many rows of it are stored now. */
  readonly onStored?: ((rows: number) => void) | undefined;
  /** For each row that was set aside; the line is 0 for those of earlier pushes. */
  readonly onRefusal?: ((refusal: Refusal) => void) | undefined;
}

export class SpoolSender {
  readonly #spool: Spool;
  readonly #id: string;
  /** Of this process, whose lines its user knows. */
  readonly #run: string | undefined;
  readonly #listeners: SenderListeners;

  constructor(
    { spool, id }: { spool: Spool; id: string },
    listeners: SenderListeners = {},
    run: string | undefined = undefined,
  ) {
    this.#spool = spool;
    this.#id = id;
    this.#listeners = listeners;
    this.#run = run;
  }

  /** How many rows wait. */
  get waiting(): number {
    return this.#spool.segments().reduce((rows, { waitingRows }) => rows + waitingRows, 0);
  }

  /**
   * Until nothing waits any more, or the signal says so.
   * @throws what the sink does; everything that is not stored stays
   */
  async drain(sink: SpoolSink, stop?: AbortSignal): Promise<void> {
    for (;;) {
      const next = this.#spool.segments().find(({ acknowledged, bytes }) => acknowledged < bytes);
      if (next === undefined || stop?.aborted) return;
      let after = next.acknowledged;
      for await (const record of this.#spool.read(next.segment, after)) {
        await this.#send(sink, record, after);
        this.#spool.acknowledge(record.place);
        after = record.place.offset;
        if (stop?.aborted) return;
      }
      // What is damaged at its end is told and skipped.
      this.#spool.acknowledge({ segment: next.segment, offset: next.bytes });
    }
  }

  async #send(sink: SpoolSink, record: StoredRecord, after: number): Promise<void> {
    let rows: SpooledRows;
    try {
      rows = fromRecord(record);
    } catch (error) {
      const reason = `a record of ${record.rows} values is damaged: ${(error as Error).message}`;
      await this.#spool.setAside([
        { reason, device: '', metric: '', timestamp: '', value: Number.NaN, labels: {}, place: record.place },
      ]);
      this.#listeners.onRefusal?.({ line: 0, reason });
      return;
    }
    await this.#store(sink, rows, after, record.place);
  }

  /** `part` are the last rows, or some, of those that end at the place. */
  async #store(sink: SpoolSink, part: SpooledRows, after: number, place: Place): Promise<void> {
    const count = part.timestampsUs.length;
    let refusals: readonly PartRefusal[];
    try {
      const { timestampsUs, devices, metrics, values, labels } = part;
      const columns = { timestampsUs, devices, metrics, values, labels };
      refusals = await sink.store({
        spool: this.#id,
        segment: place.segment,
        after,
        upto: place.offset,
        ...columns,
      });
    } catch (error) {
      if (!(error instanceof PartRefused)) throw error;
      if (count > 1) {
        // Each row takes more than a byte in the record: there are places enough between its ends.
        const middle = Math.ceil(count / 2);
        const upto = { segment: place.segment, offset: place.offset - (count - middle) };
        const piece = (from: number, to: number) => ({
          run: part.run,
          ...sliceColumns(part, from, to),
          lines: part.lines.slice(from, to),
        });
        await this.#store(sink, piece(0, middle), after, upto);
        await this.#store(sink, piece(middle, count), upto.offset, place);
        return;
      }
      refusals = [[0, error.message]];
    }
    if (refusals.length > 0) {
      const asides = refusals.map(([index, reason]) => refusedRow(part, index, reason, place));
      await this.#spool.setAside(asides);
      for (const [at, [index, reason]] of refusals.entries()) {
        this.#listeners.onRefusal?.(
          part.run === this.#run
            ? { line: part.lines[index] ?? 0, reason }
            : { line: 0, reason: `${nameOf(asides[at])}: ${reason}` },
        );
      }
    }
    this.#listeners.onStored?.(count - refusals.length);
  }
}

function refusedRow(part: PushColumns, index: number, reason: string, place: Place): RefusedRow {
  return {
    reason,
    device: part.devices[index] ?? '',
    metric: part.metrics[index] ?? '',
    timestamp: formatUtc(part.timestampsUs[index] ?? 0),
    value: Number(part.values[index]),
    labels: part.labels[index] ?? {},
    place,
  };
}

function nameOf(row: RefusedRow | undefined): string {
  return row === undefined ? '' : `${row.metric} of ${row.device} at ${row.timestamp}`;
}
