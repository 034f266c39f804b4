/**
 * Writes to the database what waits in the spool of a collector that does not run, perhaps never again: `kw spool drain`.
 * The same lanes, writer and ledger as those of a collector, without anything that is read.
 */
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { Settings } from '../config/settingsModel.ts';
import type { DatabaseTarget } from '../database/connection.ts';
import { KwError } from '../errors.ts';
import { ownerOf } from '../spool/inspect.ts';
import { nowUs } from '../time.ts';
import { systemClock } from './clock.ts';
import { CollectorSpool } from './collectorSpool.ts';
import { DatabaseStore } from './databaseStore.ts';
import { holdFolder } from './identity.ts';
import { Lanes } from './lanes.ts';
import { Writer } from './writer.ts';

export interface DrainResult {
  readonly folder: string;
  /** Values that this drain stored. */
  readonly stored: number;
  /** Values that were stored already: by a COMMIT whose answer was lost. */
  readonly already: number;
  /** Values that the database refused: they are in refused.ndjson. */
  readonly refused: number;
  /** Damaged records, and values that are lost. */
  readonly lost: number;
  /** Values that still wait: it was interrupted, or the database went away. */
  readonly waiting: number;
  /** Why, if the database did. */
  readonly problem: string | undefined;
}

export interface DrainOptions {
  readonly settings: Pick<Settings, 'spool' | 'dataFolder'>;
  readonly database: DatabaseTarget;
  readonly version: string;
  readonly onProgress: (stored: number, waiting: number) => void;
  /** Ends it behind the transaction that is under way. */
  readonly signal: AbortSignal;
}

const LONGEST_MS = 2 ** 31 - 1;
const PROGRESS_EVERY_MS = 250;

/**
 * @throws KwError COLLECTOR_RUNNING while a collector has the folder: it drains it by itself; NO_SPOOL when the folder
 *   holds none
 */
export async function drainSpool(folder: string, options: DrainOptions): Promise<DrainResult> {
  const { settings, database, version, onProgress, signal } = options;
  const ownerId = await ownerOf(folder);
  if (ownerId === undefined) {
    throw new KwError(`there is no segment of a spool in ${folder}`, {
      code: 'NO_SPOOL',
      hint: 'kw spool status shows the spools of this machine',
    });
  }
  const held = await holdFolder(lockedFolder(folder, settings));
  let spool: CollectorSpool | undefined;
  try {
    spool = await CollectorSpool.open(folder, { ownerId, firstSegment: 1, maxBytes: LARGE });
    const { writer, lanes } = drain(spool, {
      ownerId,
      database,
      version,
      drainShare: settings.spool.drainShare,
    });
    const progress = setInterval(() => {
      onProgress(writer.counters.rowsReplayed, lanes.spooledRows);
    }, PROGRESS_EVERY_MS);
    writer.start();
    const interrupt = () => void writer.stop(LONGEST_MS, 0);
    signal.addEventListener('abort', interrupt);
    try {
      await writer.stop(LONGEST_MS, signal.aborted ? 0 : LONGEST_MS);
    } finally {
      clearInterval(progress);
      signal.removeEventListener('abort', interrupt);
    }
    const { rowsReplayed, rowsInDoubtStored, rowsRefused, rowsLost } = writer.counters;
    return {
      folder,
      stored: rowsReplayed,
      already: rowsInDoubtStored,
      refused: rowsRefused,
      lost: rowsLost,
      waiting: lanes.spooledRows,
      problem: writer.awayMs === undefined ? undefined : writer.lastProblem,
    };
  } finally {
    await spool?.spool.close();
    held.release();
  }
}

/** Nothing is appended, so nothing is dropped for want of room. */
const LARGE = Number.MAX_SAFE_INTEGER;

function drain(
  spool: CollectorSpool,
  of: { ownerId: string; database: DatabaseTarget; version: string; drainShare: number },
): { writer: Writer; lanes: Lanes } {
  const startedAtUs = nowUs();
  const host = hostname();
  const identity = {
    id: of.ownerId,
    segment: 0,
    name: host,
    host,
    version: of.version,
    startedAtUs,
    endpoint: undefined,
  };
  const lanes = new Lanes({
    spool: spool.spool,
    losses: spool.losses,
    memorySegment: 0,
    runUs: startedAtUs,
    memoryBytes: 1,
    drainShare: of.drainShare,
    monotonicMs: () => systemClock.monotonicMs(),
    onLost: ({ rows }) => {
      writer.counters.rowsLost += rows;
    },
    onChange: () => writer.wake(),
  });
  const writer: Writer = new Writer({
    clock: systemClock,
    lanes,
    runUs: startedAtUs,
    store: new DatabaseStore(of.database, identity, {
      isDrain: true,
      ends: spool.ends,
      setAside: (refused) => spool.setAside(refused),
    }),
    events: { onAway: () => {}, onBack: () => {}, onRefused: () => {} },
  });
  spool.listen({
    onDamaged: ({ segment, offset, bytes, rows }) => lanes.damaged(segment, offset, bytes, rows),
  });
  return { writer, lanes };
}

/** The folder that a collector of this spool would hold. */
function lockedFolder(folder: string, { spool, dataFolder }: Pick<Settings, 'spool' | 'dataFolder'>): string {
  const above = dirname(folder);
  if (existsSync(join(above, 'identity.json'))) return above;
  if (spool.folder === above) return join(dataFolder, basename(folder));
  return folder;
}
