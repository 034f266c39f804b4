/** The spool of a collector: opened before the collector is, which hears afterwards what was found meanwhile. */
import { join } from 'node:path';
import type { Settings } from '../config/settingsModel.ts';
import type { SpoolEvents } from '../spool/model.ts';
import { Spool } from '../spool/spool.ts';
import { formatUtc } from '../time.ts';
import { Losses } from './losses.ts';
import { OrderlyEnds } from './orderlyEnds.ts';
import type { RefusedRow } from './store.ts';

/** Where the spool of an identity of this machine is. */
export function spoolFolder(
  { spool, dataFolder }: Pick<Settings, 'spool' | 'dataFolder'>,
  identityName = 'collector',
): string {
  return spool.folder === undefined
    ? join(dataFolder, identityName, 'spool')
    : join(spool.folder, identityName);
}

export interface CollectorSpoolOptions {
  /** Of the collector: the segments are its own. */
  readonly ownerId: string;
  /** Numbers of segments are at least this. */
  readonly firstSegment: number;
  readonly maxBytes?: number | undefined;
  readonly maxAgeMs?: number | undefined;
  readonly segmentBytes?: number | undefined;
}

export class CollectorSpool {
  readonly spool: Spool;
  /** What was lost and is not told to the database yet. */
  readonly losses: Losses;
  /** Of earlier runs, and not told to the database yet. */
  readonly ends: OrderlyEnds;
  readonly #listen: (listener: SpoolEvents) => void;

  private constructor(spool: Spool, listen: (listener: SpoolEvents) => void) {
    this.spool = spool;
    this.losses = new Losses(join(spool.folder, 'losses.json'));
    this.ends = new OrderlyEnds(join(spool.folder, 'ends.json'));
    this.#listen = listen;
  }

  /** Never fails for what the disk says: the spool tells its `problem`. */
  static async open(folder: string, options: CollectorSpoolOptions): Promise<CollectorSpool> {
    let listener: SpoolEvents | undefined;
    let early: ((listener: SpoolEvents) => void)[] = [];
    const tell = (event: (listener: SpoolEvents) => void) => (listener ? event(listener) : early.push(event));
    const spool = await Spool.open(folder, {
      ...options,
      events: {
        onDropped: (segment, records, reason) => listener?.onDropped?.(segment, records, reason),
        onDamaged: (damage) => tell((to) => to.onDamaged?.(damage)),
        onSetAside: (file, reason) => tell((to) => to.onSetAside?.(file, reason)),
        onProblem: (error) => tell((to) => to.onProblem?.(error)),
        onProblemOver: () => tell((to) => to.onProblemOver?.()),
      },
    });
    return new CollectorSpool(spool, (next) => {
      listener = next;
      for (const event of early) event(next);
      early = [];
    });
  }

  /** Who hears of what happens from now on, and of what happened since the opening. */
  listen(listener: SpoolEvents): void {
    this.#listen(listener);
  }

  /** Keeps rows that the database refuses. @throws SpoolDiskError */
  setAside(refused: readonly RefusedRow[]): Promise<void> {
    return this.spool.setAside(
      refused.map(({ sample: { series, timestampUs, value }, problem, place }) => ({
        reason: problem,
        device: series.deviceId,
        metric: series.metricId,
        timestamp: formatUtc(timestampUs),
        value,
        labels: series.labels,
        place,
      })),
    );
  }
}
