/** The way of a batch over memory and disk into a database with a ledger: once, whatever happens to any of them. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BatchBuilder, type ClosedBatch } from '../../../src/lib/collector/batch.ts';
import { Lanes } from '../../../src/lib/collector/lanes.ts';
import { type Loss, Losses } from '../../../src/lib/collector/losses.ts';
import { batchOf } from '../../../src/lib/collector/spooledBatch.ts';
import { Writer } from '../../../src/lib/collector/writer.ts';
import type { SpoolOptions } from '../../../src/lib/spool/model.ts';
import { Spool } from '../../../src/lib/spool/spool.ts';
import { FakeClock } from '../../support/fakeClock.ts';
import { LedgerStore } from '../../support/ledgerStore.ts';
import { random } from '../../support/random.ts';
import { SimulatedDisk, systemError } from '../../support/simulatedDisk.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const OWNER = '6f1b1d2e-0c9a-4f7e-8a55-0d6a3c1f9b20';
const FOLDER = '/data/spool';
const START_US = Date.UTC(2026, 10, 22, 10) * 1000;

/** A batch of one row; its horizon lies right behind it. */
function batchAt(atUs: number): ClosedBatch {
  const builder = new BatchBuilder({ nowUs: () => atUs, onRefused: () => {} });
  builder.add([{ series: { deviceId: 'pdu', metricId: 'watt', labels: {} }, timestampUs: atUs, value: 1 }]);
  return builder.close(atUs + 1) as ClosedBatch;
}

/** Bytes of memory that a batch takes. */
const BATCH_BYTES = batchAt(START_US).copy.length;

interface RunOptions {
  readonly disk: SimulatedDisk;
  readonly store: LedgerStore;
  readonly lossesFile: string;
  readonly runUs?: number;
  readonly spool?: Partial<SpoolOptions>;
  readonly memoryBytes?: number;
  readonly spooledBytes?: number;
  readonly clock?: FakeClock;
}

/** A collector without devices. */
async function startRun(options: RunOptions) {
  const {
    disk,
    store,
    lossesFile,
    runUs = START_US,
    clock = new FakeClock(),
    memoryBytes = 1e6,
    spooledBytes,
  } = options;
  const lost: Loss[] = [];
  const live: { lanes?: Lanes } = {};
  const early: { segment: number; offset: number; bytes: number; rows: number | undefined }[] = [];
  const spool = await Spool.open(
    FOLDER,
    {
      ownerId: OWNER,
      retryMs: 0,
      maxBytes: 1e9,
      events: {
        onDropped: (segment, records, reason) => live.lanes?.dropped(segment, records, reason),
        onDamaged: (damage) => {
          const { segment, offset, bytes, rows } = damage;
          if (live.lanes) live.lanes.damaged(segment, offset, bytes, rows);
          else early.push(damage);
        },
      },
      ...options.spool,
    },
    disk,
  );
  const losses = new Losses(lossesFile);
  const lanes = new Lanes({
    spool,
    losses,
    memorySegment: 1,
    runUs,
    memoryBytes,
    spooledBytes,
    drainShare: 0.5,
    monotonicMs: () => clock.monotonicMs(),
    onLost: (loss) => lost.push(loss),
    onChange: () => writer.wake(),
  });
  live.lanes = lanes;
  for (const { segment, offset, bytes, rows } of early) lanes.damaged(segment, offset, bytes, rows);
  store.runUs = runUs;
  const writer: Writer = new Writer({
    clock,
    lanes,
    store,
    runUs,
    events: { onAway: () => {}, onBack: () => {}, onRefused: () => {} },
  });
  writer.start();
  /** Lets the disk, the database and the time do what they have to do. */
  const settle = async (ms = 20_000) => {
    for (let turn = 0; turn < 20; turn++) {
      await lanes.settled();
      await clock.advance(ms / 20);
      for (let io = 0; io < 20; io++) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { spool, lanes, writer, lost, clock, settle, losses };
}

/** Timestamps of what the spool holds. */
async function onDisk(disk: SimulatedDisk): Promise<Set<number>> {
  const spool = await Spool.open(FOLDER, { ownerId: OWNER }, disk);
  const times = new Set<number>();
  for (const { segment } of spool.segments()) {
    for await (const record of spool.read(segment)) times.add(batchOf(record)?.fromUs ?? 0);
  }
  return times;
}

const seconds = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => START_US + (from + index) * 1e6);

describe('Lanes and Writer', () => {
  let disk: SimulatedDisk;
  let store: LedgerStore;
  let lossesFile: string;
  let remove: () => void;
  beforeEach(() => {
    disk = new SimulatedDisk();
    store = new LedgerStore();
    const temporary = temporaryFolder();
    remove = temporary.remove;
    lossesFile = join(temporary.folder, 'losses.json');
  });
  afterEach(() => remove());

  const segmentFiles = (on = disk) => on.paths(FOLDER).filter((path) => path.endsWith('.seg'));

  it('stores what comes, and lets go of it on the disk', async () => {
    const { lanes, writer, settle, spool } = await startRun({ disk, store, lossesFile });
    for (const atUs of seconds(1, 3)) writer.push(batchAt(atUs));
    await settle();
    expect(store.state.rows).toEqual(seconds(1, 3));
    expect(store.state.horizons.get(START_US)).toBe(START_US + 3e6 + 1);
    expect(lanes).toMatchObject({ rows: 0, bytes: 0, isSafe: true, isEmpty: true });
    await writer.stop(1000);
    await spool.close();
    expect(segmentFiles()).toEqual([]);
  });

  it('forgets in memory what is too much, reads it back in order, and says nothing is stored behind it', async () => {
    const { lanes, writer, settle } = await startRun({
      disk,
      store,
      lossesFile,
      spooledBytes: 5 * BATCH_BYTES,
    });
    store.isAway = true;
    for (const atUs of seconds(1, 20)) {
      writer.push(batchAt(atUs));
      await settle(1_000);
    }
    expect(lanes.rows).toBe(20);
    expect(lanes.bytes).toBeLessThanOrEqual(5 * BATCH_BYTES);
    expect(lanes.backlogRows).toBeGreaterThan(14);
    store.isAway = false;
    const seen: { horizonUs: number | undefined; rows: number[] }[] = [];
    store.onCommit = () => {
      const { rows, horizons } = store.state;
      seen.push({ horizonUs: horizons.get(START_US), rows: [...rows] });
    };
    for (const atUs of seconds(21, 40)) {
      writer.push(batchAt(atUs));
      await settle(1_000);
    }
    await settle();
    const { rows } = store.state;
    expect([...rows].sort((a, b) => a - b)).toEqual(seconds(1, 40));
    expect(rows.filter((atUs) => atUs <= START_US + 20e6)).toEqual(seconds(1, 20));
    for (const { horizonUs, rows } of seen) {
      if (horizonUs === undefined) continue;
      expect(seconds(1, 40).filter((atUs) => atUs < horizonUs && !rows.includes(atUs))).toEqual([]);
    }
    expect(store.state.horizons.get(START_US)).toBe(START_US + 40e6 + 1);
    expect(lanes.isEmpty).toBe(true);
  });

  it('stores live batches between the parts of a backlog, which leaves the server half of the time', async () => {
    const first = await startRun({
      disk,
      store,
      lossesFile,
      spool: { segmentBytes: 10 * (BATCH_BYTES + 200) },
    });
    store.isAway = true;
    for (const atUs of seconds(1, 100)) {
      first.writer.push(batchAt(atUs));
      await first.lanes.settled();
    }
    const times: number[] = [];
    const clock = new FakeClock();
    // Each transaction takes 400 ms.
    store.wait = () => {
      times.push(clock.monotonicMs());
      return new Promise((resolve) => clock.setTimer(400, resolve));
    };
    store.isAway = false;
    const after = disk.afterKill();
    const { writer, settle, lanes } = await startRun({
      disk: after,
      store,
      lossesFile,
      runUs: START_US + 200e6,
      clock,
    });
    await settle(500);
    expect(times).toHaveLength(1);
    writer.push(batchAt(START_US + 201e6));
    await lanes.settled();
    await settle(410);
    expect(store.state.rows.at(-1)).toBe(START_US + 201e6);
    await settle(60_000);
    expect([...store.state.rows].sort((a, b) => a - b)).toEqual([...seconds(1, 100), START_US + 201e6]);
    const pauses = times.slice(2).map((atMs, index) => atMs - (times[index + 1] as number));
    expect(pauses.length).toBeGreaterThan(5);
    for (const pauseMs of pauses.slice(1)) expect(pauseMs).toBeGreaterThanOrEqual(800);
    expect(store.state.horizons.get(START_US)).toBe(START_US + 100e6 + 1);
  });

  it('keeps what the disk does not take in memory, tells what memory drops, and goes on with the disk', async () => {
    const { lanes, writer, settle, lost } = await startRun({
      disk,
      store,
      lossesFile,
      memoryBytes: 5 * BATCH_BYTES,
    });
    store.isAway = true;
    const push = async (from: number, to: number) => {
      for (const atUs of seconds(from, to)) {
        writer.push(batchAt(atUs));
        await settle(1_000);
      }
    };
    await push(1, 5);
    disk.fault = (operation, path) => {
      if (operation === 'write' && path.endsWith('.seg'))
        throw systemError('ENOSPC', 'no space left on device');
      if (operation === 'create' && path.endsWith('.seg'))
        throw systemError('ENOSPC', 'no space left on device');
      return undefined;
    };
    await push(6, 15);
    expect(lanes.memoryRows).toBe(5);
    expect(lost.reduce((sum, { rows }) => sum + rows, 0)).toBe(5);
    disk.fault = () => undefined;
    await push(16, 20);
    store.isAway = false;
    await settle();
    expect(store.state.rows).toEqual([...seconds(1, 5), ...seconds(11, 20)]);
    expect(store.state.losses).toEqual([
      expect.objectContaining({ fromUs: START_US + 6e6, toUs: START_US + 10e6, rows: 5, reason: 'memory' }),
    ]);
    expect(store.state.horizons.get(START_US)).toBe(START_US + 20e6 + 1);
  });

  it('tells what memory dropped behind a batch that is on its way, and stores that batch', async () => {
    disk.fault = (operation) => {
      if (operation === 'create') throw systemError('EROFS', 'read-only file system');
      return undefined;
    };
    const { writer, settle } = await startRun({ disk, store, lossesFile, memoryBytes: 3 * BATCH_BYTES });
    const { wait } = store;
    let breakIt = () => {};
    store.wait = () => new Promise((_resolve, reject) => (breakIt = () => reject(new Error('broken'))));
    writer.push(batchAt(START_US + 1e6));
    await settle(1_000);
    for (const atUs of seconds(2, 6)) writer.push(batchAt(atUs));
    await settle(1_000);
    store.wait = wait;
    breakIt();
    await settle();
    expect(store.state.rows).toEqual([START_US + 1e6, ...seconds(5, 6)]);
    expect(store.state.losses).toMatchObject([
      { reason: 'memory', rows: 3, fromUs: START_US + 2e6, toUs: START_US + 4e6 },
    ]);
  });

  it('goes on live in a new segment once the database is back', async () => {
    const { lanes, writer, settle, spool } = await startRun({
      disk,
      store,
      lossesFile,
      spooledBytes: 3 * BATCH_BYTES,
    });
    store.isAway = true;
    for (const atUs of seconds(1, 10)) {
      writer.push(batchAt(atUs));
      await lanes.settled();
    }
    expect(spool.segments()).toHaveLength(1);
    store.isAway = false;
    await settle();
    writer.push(batchAt(START_US + 11e6));
    await lanes.settled();
    store.isAway = true;
    expect(spool.segments().at(-1)).toMatchObject({ records: 1 });
    await settle();
    expect(lanes.backlogRows).toBe(0);
  });

  it('tells exactly what a full spool had to drop', async () => {
    const maxBytes = 40 * (BATCH_BYTES + 150);
    const { lanes, writer, settle, lost } = await startRun({
      disk,
      store,
      lossesFile,
      spool: { maxBytes },
      spooledBytes: 3 * BATCH_BYTES,
    });
    store.isAway = true;
    for (const atUs of seconds(1, 100)) {
      writer.push(batchAt(atUs));
      await lanes.settled();
    }
    const rows = lost.reduce((sum, loss) => sum + loss.rows, 0);
    expect(rows).toBeGreaterThan(50);
    expect(lanes.rows).toBe(100 - rows);
    store.isAway = false;
    await settle(60_000);
    expect([...store.state.rows].sort((a, b) => a - b)).toEqual(seconds(rows + 1, 100));
    const { losses } = store.state;
    expect(losses.reduce((sum, loss) => sum + loss.rows, 0)).toBe(rows);
    expect(Math.min(...losses.map(({ fromUs }) => fromUs))).toBe(START_US + 1e6);
    expect(Math.max(...losses.map(({ toUs }) => toUs))).toBe(START_US + rows * 1e6);
    // Nothing is left of the ledger but what is in use.
    expect(store.state.ledger.size).toBeLessThanOrEqual(2);
  });

  it('tells of damaged records when they were measured, and stores those around them', async () => {
    const first = await startRun({ disk, store, lossesFile });
    store.isAway = true;
    for (const atUs of seconds(1, 9)) {
      first.writer.push(batchAt(atUs));
      await first.lanes.settled();
    }
    const after = disk.afterKill();
    const [path] = segmentFiles(after);
    const file = after.get(path as string);
    // In the payload of the fifth record.
    const at = Math.floor(64 + 4.9 * ((file.length - 64) / 9));
    file[at] = (file[at] as number) ^ 1;
    store.isAway = false;
    const { settle, lost } = await startRun({ disk: after, store, lossesFile, runUs: START_US + 100e6 });
    await settle();
    expect(store.state.rows).toEqual([...seconds(1, 4), ...seconds(6, 9)]);
    expect(lost).toMatchObject([
      { reason: 'damaged', rows: 1, fromUs: START_US + 4e6, toUs: START_US + 6e6 },
    ]);
    expect(store.state.losses).toMatchObject([{ reason: 'damaged', rows: 1 }]);
    expect(store.state.horizons.get(START_US)).toBe(START_US + 9e6 + 1);
    expect(segmentFiles(after)).toEqual([]);
  });

  it('stores a file once that comes back after a power cut', async () => {
    const first = await startRun({ disk, store, lossesFile, spool: { segmentBytes: 1 } });
    for (const atUs of seconds(1, 3)) {
      first.writer.push(batchAt(atUs));
      await first.lanes.settled();
    }
    const before = disk.afterKill();
    await first.settle();
    for (const atUs of seconds(4, 6)) {
      first.writer.push(batchAt(atUs));
      await first.settle(1000);
    }
    expect(store.state.floor).toBeGreaterThan(0);
    const { settle } = await startRun({ disk: before, store, lossesFile, runUs: START_US + 100e6 });
    await settle();
    expect(store.state.rows).toEqual(seconds(1, 6));
    expect(segmentFiles(before)).toEqual([]);
  });

  it('ends at once when the database is away: what is on the disk is safe', async () => {
    const { writer, lanes, clock, settle } = await startRun({ disk, store, lossesFile });
    store.isAway = true;
    await settle();
    writer.push(batchAt(START_US + 1e6));
    await lanes.settled();
    const fromMs = clock.monotonicMs();
    const stopped = writer.stop(30_000);
    await clock.advance(10);
    expect(await stopped).toBe(0);
    expect(clock.monotonicMs() - fromMs).toBeLessThan(100);
    expect(lanes.spooledRows).toBe(1);
  });

  /** Every fault at random, many times; what must hold is looked at after each COMMIT and at the end. */
  it.each(Array.from({ length: 25 }, (_, index) => index + 1))(
    'stores once and tells the rest: dice %i',
    async (seed) => {
      const next = random(seed);
      const chance = (percent: number) => next() % 100 < percent;
      const pushed = new Set<number>();
      /** In memory alone when the process was killed: that flush interval is lost. */
      const killed = new Set<number>();
      const broken: string[] = [];
      let nowUs = START_US;
      let runUs = nowUs;
      store.fate = () => (chance(10) ? 'before' : chance(10) ? 'behind' : 'fine');
      const isTold = (atUs: number) =>
        store.state.losses.some(({ fromUs, toUs }) => fromUs <= atUs && atUs <= toUs);
      store.onCommit = () => {
        const rows = new Set(store.state.rows);
        for (const [run, horizonUs] of store.state.horizons) {
          for (const atUs of pushed) {
            if (atUs < run || atUs >= horizonUs || rows.has(atUs)) continue;
            if (!isTold(atUs)) broken.push(`${atUs} lies before the horizon ${horizonUs}`);
          }
        }
      };
      const options = { store, lossesFile, memoryBytes: 20 * BATCH_BYTES, spooledBytes: 6 * BATCH_BYTES };
      const spool = { maxBytes: 60 * BATCH_BYTES, segmentBytes: (1 + (next() % 8)) * BATCH_BYTES };
      const start = async () => {
        const run = await startRun({ ...options, disk, spool, runUs });
        return run;
      };
      let run = await start();
      let lostRows = 0;
      for (let step = 0; step < 150; step++) {
        if (chance(10)) store.isAway = !store.isAway;
        if (chance(8)) {
          disk.fault = (operation) => {
            if (['write', 'sync', 'create'].includes(operation) && chance(60))
              throw systemError('EIO', 'i/o error');
            return undefined;
          };
        } else if (chance(30)) {
          disk.fault = () => undefined;
        }
        nowUs += 1e6;
        pushed.add(nowUs);
        run.writer.push(batchAt(nowUs));
        if (chance(70)) await run.settle(500);
        if (chance(3)) {
          // Killed: what memory alone has is lost, and whatever was on its way.
          lostRows += run.lost.reduce((sum, { rows }) => sum + rows, 0);
          disk.stopAfter = 0;
          store.isAway = true;
          void run.writer.stop(0);
          await run.clock.advance(1);
          disk = disk.afterKill();
          const kept = await onDisk(disk.afterKill());
          for (const atUs of pushed) if (!kept.has(atUs)) killed.add(atUs);
          nowUs += 5e6;
          runUs = nowUs;
          run = await start();
        }
      }
      disk.fault = () => undefined;
      store.isAway = false;
      store.fate = () => 'fine';
      await run.settle(120_000);
      lostRows += run.lost.reduce((sum, { rows }) => sum + rows, 0);
      nowUs += 1e6;
      pushed.add(nowUs);
      run.writer.push(batchAt(nowUs));
      await run.settle(120_000);

      const { rows, losses } = store.state;
      expect(new Set(rows).size, 'rows stored twice').toBe(rows.length);
      expect(broken).toEqual([]);
      const missing: number[] = [...pushed].filter((atUs) => !rows.includes(atUs));
      for (const atUs of missing) expect(isTold(atUs) || killed.has(atUs), `${atUs} is missing`).toBe(true);
      expect(run.lanes).toMatchObject({ rows: 0, bytes: 0 });
      const told = losses.reduce((sum, loss) => sum + loss.rows, 0);
      // What was in doubt when its segment had to go is told as lost too: a transaction each time.
      expect(told).toBeLessThanOrEqual(missing.length + 10);
      expect(lostRows).toBeGreaterThanOrEqual(told);
    },
  );
});
