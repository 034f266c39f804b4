/**
 * Runs of this collector that were stopped in order while the database was away. What they read waits in the spool, and
 * this beside it: the database is told when it is back, or it would take the run for one that was killed.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { z } from 'zod';

export interface OrderlyEnd {
  /** When the run began, in microseconds since the epoch: its name in the database. */
  readonly runUs: number;
  readonly endUs: number;
}

const fileSchema = z.array(z.object({ runUs: z.number(), endUs: z.number() }));
/** The latest are kept: each is the end of a process. */
const MAX_ENDS = 100;

export class OrderlyEnds {
  readonly #file: string;
  #untold: readonly OrderlyEnd[];

  constructor(file: string) {
    this.#file = file;
    this.#untold = readEnds(file);
  }

  get untold(): readonly OrderlyEnd[] {
    return this.#untold;
  }

  add(end: OrderlyEnd): void {
    this.#save([...this.#untold, end].slice(-MAX_ENDS));
  }

  told(end: OrderlyEnd): void {
    this.#save(this.#untold.filter((one) => one !== end));
  }

  #save(untold: readonly OrderlyEnd[]): void {
    this.#untold = untold;
    try {
      if (untold.length === 0) {
        rmSync(this.#file, { force: true });
      } else {
        writeFileSync(`${this.#file}.new`, JSON.stringify(untold), { mode: 0o600 });
        renameSync(`${this.#file}.new`, this.#file);
      }
    } catch {
      // A disk that takes nothing: the run counts as killed.
    }
  }
}

/** A file that is not there, or cannot be understood, says nothing. */
function readEnds(file: string): OrderlyEnd[] {
  try {
    return fileSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch {
    return [];
  }
}
