/** Decides which rows of a batch are this collector's to store, where several read the same devices. */
import type { Client } from 'pg';
import type { Batch } from './batch.ts';

export interface BatchGuard {
  /** The epoch of shards by which admit() decides now; undefined: there are none, and nothing is to be held. */
  readonly expectedEpoch: number | undefined;
  /** The batch itself, or one with fewer rows and the same place, or undefined when no row is this collector's. */
  admit(batch: Batch): Promise<Batch | undefined>;
  /**
   * Within the transaction that stores what was admitted, before its rows: whether this epoch is still the last one,
   * and remains it until the COMMIT. False: the batches are admitted again.
   */
  hold(client: Client, epoch: number): Promise<boolean>;
}

/** For a collector that stores whatever it reads. */
export const everyRow: BatchGuard = {
  expectedEpoch: undefined,
  admit: async (batch) => batch,
  hold: async () => true,
};
