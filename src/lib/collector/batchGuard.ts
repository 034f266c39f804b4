/** Decides which rows of a batch are this collector's to store, where several read the same devices. */
import type { Client } from 'pg';
import type { Batch } from './batch.ts';

export interface BatchGuard {
  /** The epoch of shards by which admit() decides now; undefined: there are none, and nothing is to be held. */
  readonly expectedEpoch: number | undefined;
  /** The batch itself, or one with fewer rows and the same place, or undefined when no row is this collector's. */
  admit(batch: Batch): Promise<Batch | undefined>;
  /**
   * Asks for the last epoch, as `epoch`, and holds it until the COMMIT: within the transaction that stores what was
   * admitted, before its rows.
   */
  readonly holdStatement: string;
  /** Whether the epoch that is held is the one of the admission. False: the batches are admitted again. */
  isHeld(client: Client, held: number, admitted: number): Promise<boolean>;
}

/** For a collector that stores whatever it reads. */
export const everyRow: BatchGuard = {
  expectedEpoch: undefined,
  admit: async (batch) => batch,
  holdStatement: '',
  isHeld: async () => true,
};
