/**
 * Values that were read and will never be stored: what memory dropped, segments that the spool had to remove, damaged
 * records. Each is recorded in kw.collector_losses in the transaction of the next batch, whatever batch that is, so that
 * no horizon ever promises a time of which a loss was not told.
 *
 *   add()       known here, and in the file: a loss outlives the process
 *   take()      on its way to the database; it is not added to any more, since its COMMIT may be in doubt
 *   recorded()  told there: forgotten here
 *
 * Once: a loss has a place in the ledger like a batch. The transaction that tells it claims that place; a loss that was
 * told before, by a COMMIT whose answer was lost or by an earlier run, is refused there.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Place } from '../spool/model.ts';

/** `memory`: the buffer was full; `full`, `old`: a segment of the spool was removed; `damaged`: records without a right CRC. */
export type LossReason = 'memory' | 'full' | 'old' | 'damaged';

export interface Loss {
  readonly reason: LossReason;
  /** What the ledger knows it by: everything of the segment up to there is stored or lost. */
  readonly place: Place;
  /** First and last timestamp. */
  readonly fromUs: number;
  readonly toUs: number;
  /** Values; of `damaged` records whose rows are not known, the records. */
  readonly rows: number;
}

/** Behind everything that a segment can hold. */
export const WHOLE_SEGMENT = Number.MAX_SAFE_INTEGER;

export class Losses {
  /** Undefined: nothing outlives the process. */
  readonly #file: string | undefined;
  #pending: Loss[] = [];
  /** How many of them, from the first on, were on their way to the database. */
  #taken = 0;
  #saved = true;

  constructor(file?: string) {
    this.#file = file;
    if (file !== undefined) this.#pending = readLosses(file);
    this.#taken = this.#pending.length;
  }

  get pending(): readonly Loss[] {
    return this.#pending;
  }

  /** Losses of one segment that follow each other become one, as long as nothing was told of it. */
  add(loss: Loss): void {
    const last = this.#pending.length > this.#taken ? this.#pending.at(-1) : undefined;
    if (last?.place.segment === loss.place.segment && last.reason === loss.reason) {
      this.#pending[this.#pending.length - 1] = {
        reason: loss.reason,
        place: loss.place,
        fromUs: Math.min(last.fromUs, loss.fromUs),
        toUs: Math.max(last.toUs, loss.toUs),
        rows: last.rows + loss.rows,
      };
    } else {
      this.#pending.push(loss);
    }
    this.#save(loss.reason !== 'memory');
  }

  /** Everything that is to be told, oldest first. */
  take(): readonly Loss[] {
    this.#taken = this.#pending.length;
    return [...this.#pending];
  }

  /** These, which take() gave, are in the database. */
  recorded(losses: readonly Loss[]): void {
    if (losses.length === 0) return;
    this.#pending = this.#pending.filter((loss) => !losses.includes(loss));
    this.#taken = 0;
    this.#save();
  }

  /** Tries again to write the file, if the disk did not take it the last time. */
  retry(): void {
    if (!this.#saved) this.#save();
  }

  /** @param flush onto the disk: a segment goes when its loss is known */
  #save(flush = false): void {
    if (this.#file === undefined) return;
    try {
      writeFileSync(`${this.#file}.new`, JSON.stringify(this.#pending), { mode: 0o600, flush });
      renameSync(`${this.#file}.new`, this.#file);
      this.#saved = true;
    } catch {
      // The disk is full or read-only, which is told elsewhere: they are kept in memory.
      this.#saved = false;
    }
  }
}

/** What an earlier run could not tell. A file that cannot be understood says nothing. */
function readLosses(file: string): Loss[] {
  try {
    const content: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return Array.isArray(content) ? content.filter(isLoss) : [];
  } catch {
    return [];
  }
}

function isLoss(value: unknown): value is Loss {
  const { reason, place, fromUs, toUs, rows } = value as Loss;
  return (
    ['memory', 'full', 'old', 'damaged'].includes(reason) &&
    [place?.segment, place?.offset, rows].every((number) => Number.isSafeInteger(number) && number >= 0) &&
    Number.isFinite(fromUs) &&
    Number.isFinite(toUs)
  );
}
