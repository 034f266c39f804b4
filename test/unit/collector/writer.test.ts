import { describe, expect, it } from 'vitest';
import type { ClosedBatch } from '../../../src/lib/collector/batch.ts';
import { Lanes } from '../../../src/lib/collector/lanes.ts';
import { Losses } from '../../../src/lib/collector/losses.ts';
import type { BatchStore, Outcome, RefusedRow, StoreConnection } from '../../../src/lib/collector/store.ts';
import { remedyFor } from '../../../src/lib/collector/writeErrors.ts';
import { Writer } from '../../../src/lib/collector/writer.ts';
import { KwError } from '../../../src/lib/errors.ts';
import { FakeClock, settle } from '../../support/fakeClock.ts';

function batch(sequence: number): ClosedBatch {
  const atUs = sequence * 1000;
  return { rows: 10, copy: Buffer.alloc(100), days: [], fromUs: atUs, toUs: atUs, horizonUs: atUs };
}

function sqlError(code: string): Error {
  return Object.assign(new Error(`error ${code}`), { code });
}

/** A database with a ledger: what it does next is up to the test. */
class FakeStore implements BatchStore {
  readonly stored: number[] = [];
  readonly published: number[] = [];
  opened = 0;
  destroyed = 0;
  closed = 0;
  /** What connecting does. */
  connect: () => Promise<void> = async () => {};
  /** What happens around the storing of a batch; throws or never resolves as a broken connection would. */
  around: (store: () => void) => Promise<void> = async (store) => store();
  refused: RefusedRow[] = [];

  async open(): Promise<StoreConnection> {
    await this.connect();
    this.opened++;
    return {
      ledger: { floor: undefined, places: [] },
      store: async ({ batches }): Promise<Outcome> => {
        const fresh = batches.filter(({ place }) => !this.stored.includes(place.offset));
        const alreadyRows = (batches.length - fresh.length) * 10;
        if (fresh.length > 0) {
          await this.around(() => this.stored.push(...fresh.map(({ place }) => place.offset)));
        }
        return { alreadyRows, othersRows: 0, refused: this.refused };
      },
      publish: async (horizonUs) => {
        this.published.push(horizonUs);
      },
      close: async () => {
        this.closed++;
      },
      destroy: () => {
        this.destroyed++;
      },
    };
  }
}

function setUp(limitBytes = 1e6) {
  const clock = new FakeClock();
  const store = new FakeStore();
  const log: string[] = [];
  const lost: number[] = [];
  const lanes = new Lanes({
    spool: undefined,
    losses: new Losses(),
    memorySegment: 1,
    runUs: 0,
    memoryBytes: limitBytes,
    drainShare: 0.5,
    monotonicMs: () => clock.monotonicMs(),
    onLost: ({ place }) => lost.push(place.offset),
    onChange: () => writer.wake(),
  });
  const writer: Writer = new Writer({
    clock,
    lanes,
    runUs: 0,
    store,
    events: {
      onAway: (problem) => log.push(`away: ${problem}`),
      onBack: (awayMs) => log.push(`back after ${Math.round(awayMs / 100) / 10} s`),
      onRefused: (rows) => log.push(`refused ${rows.length}`),
    },
  });
  return { clock, store, writer, lanes, log, lost };
}

const never = () => new Promise<never>(() => {});

describe('Writer', () => {
  it('writes batches in order and publishes up to where everything is stored', async () => {
    const { store, writer } = setUp();
    writer.start();
    for (const sequence of [1, 2, 3]) writer.push(batch(sequence));
    await settle();
    expect(store.stored).toEqual([1, 2, 3]);
    expect(writer).toMatchObject({ state: 'ready', writtenUpToUs: 3000 });
    expect(writer.counters).toMatchObject({ rowsWritten: 30, batchesWritten: 3, failures: 0 });
  });

  it('moves the horizon on when there was nothing to write', async () => {
    const { store, writer } = setUp();
    writer.start();
    writer.advance(5000);
    await settle();
    expect(store.published).toEqual([5000]);
    expect(writer.writtenUpToUs).toBe(5000);
  });

  it('publishes no horizon before the batches that belong to it', async () => {
    const { clock, store, writer } = setUp();
    store.connect = async () => {
      throw new Error('refused');
    };
    writer.start();
    writer.push(batch(1));
    writer.advance(9000);
    await clock.advance(10_000);
    expect(writer.writtenUpToUs).toBeUndefined();
    store.connect = async () => {};
    await clock.advance(10_000);
    expect(store.stored).toEqual([1]);
    expect(store.published).toEqual([9000]);
  });

  it('bridges an outage: tries again, tells once, stores everything once and in order', async () => {
    const { clock, store, writer, log, lanes } = setUp();
    let attempts = 0;
    store.connect = async () => {
      attempts++;
      throw Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    };
    writer.start();
    for (let second = 1; second <= 60; second++) {
      writer.push(batch(second));
      await clock.advance(1000);
    }
    expect(writer.state).toBe('away');
    expect(lanes.rows).toBe(600);
    expect(attempts).toBeGreaterThan(10);
    expect(attempts).toBeLessThan(25);
    store.connect = async () => {};
    await clock.advance(5000);
    expect(store.stored).toEqual(Array.from({ length: 60 }, (_, index) => index + 1));
    expect(log).toHaveLength(2);
    expect(log[0]).toBe('away: connect ECONNREFUSED');
    expect(log[1]).toMatch(/^back after 6[0-5]/);
  });

  it('stores a batch once when its COMMIT took place and the answer was lost', async () => {
    const { clock, store, writer } = setUp();
    let first = true;
    store.around = async (commit) => {
      commit();
      if (first) {
        first = false;
        throw new Error('Connection terminated unexpectedly');
      }
    };
    writer.start();
    writer.push(batch(1));
    writer.push(batch(2));
    await clock.advance(2000);
    expect(store.stored).toEqual([1, 2]);
    expect(writer.counters).toMatchObject({ rowsWritten: 20, rowsInDoubtStored: 20, failures: 1 });
  });

  it('stores a batch once when the connection broke before COMMIT', async () => {
    const { clock, store, writer } = setUp();
    let first = true;
    store.around = async (commit) => {
      if (first) {
        first = false;
        throw new Error('Connection terminated unexpectedly');
      }
      commit();
    };
    writer.start();
    writer.push(batch(1));
    await clock.advance(2000);
    expect(store.stored).toEqual([1]);
    expect(writer.counters).toMatchObject({ rowsWritten: 10, rowsInDoubtStored: 0, failures: 1 });
  });

  it('drops a connection that hangs, and gives a slow server more time each time', async () => {
    const { clock, store, writer, log } = setUp();
    let hung = 0;
    store.around = async (commit) => {
      if (hung++ < 2) await never();
      commit();
    };
    writer.start();
    writer.push(batch(1));
    await clock.advance(9_999);
    expect(store.destroyed).toBe(0);
    await clock.advance(2);
    expect(store.destroyed).toBeGreaterThan(0);
    expect(log).toEqual(['away: the database did not answer for 10 s']);
    await clock.advance(19_000);
    expect(hung).toBe(2);
    expect(store.stored).toEqual([]);
    await clock.advance(5_000);
    expect(store.stored).toEqual([1]);
  });

  it('loses the oldest when the backlog is full, never the batch on its way', async () => {
    const { clock, store, writer, lost } = setUp(300);
    let hang = true;
    store.around = async (commit) => {
      if (hang) await never();
      commit();
    };
    writer.start();
    writer.push(batch(1));
    await settle();
    for (let sequence = 2; sequence <= 6; sequence++) writer.push(batch(sequence));
    expect(lost).toEqual([2, 3, 4]);
    hang = false;
    await clock.advance(15_000);
    expect(store.stored).toEqual([1, 5, 6]);
  });

  it('reports rows that the server refused, and counts the others as written', async () => {
    const { store, writer, log } = setUp();
    const sample = { series: { deviceId: 'd', metricId: 'm', labels: {} }, timestampUs: 0, value: 0 };
    store.refused = [{ sample, problem: 'no', place: { segment: 1, offset: 1 } }];
    writer.start();
    writer.push(batch(1));
    await settle();
    expect(writer.counters).toMatchObject({ rowsWritten: 9, rowsRefused: 1 });
    expect(log).toEqual(['refused 1']);
  });

  it('stops after the last batch, in an orderly way', async () => {
    const { store, writer } = setUp();
    writer.start();
    writer.push(batch(1));
    writer.push(batch(2));
    expect(await writer.stop(10_000)).toBe(0);
    expect(store.stored).toEqual([1, 2]);
    expect(store.closed).toBe(1);
    expect(writer.state).toBe('closed');
  });

  it('stops when its patience is over, and says how many values are lost', async () => {
    const { clock, store, writer } = setUp();
    store.connect = async () => {
      throw new Error('away');
    };
    writer.start();
    writer.push(batch(1));
    writer.push(batch(2));
    await clock.advance(20_000);
    const stopped = writer.stop(5_000);
    await clock.advance(6_000);
    expect(await stopped).toBe(20);
    expect(writer.counters.rowsLost).toBe(20);
    expect(writer.state).toBe('closed');
  });

  it('stops at once when the database is away and nothing waits', async () => {
    const { clock, store, writer } = setUp();
    store.connect = async () => {
      throw new Error('away');
    };
    writer.start();
    await clock.advance(20_000);
    expect(await writer.stop(5_000)).toBe(0);
  });

  it('still stores what waits when the database comes back while it stops', async () => {
    const { clock, store, writer } = setUp();
    store.connect = async () => {
      throw new Error('away');
    };
    writer.start();
    writer.push(batch(1));
    await clock.advance(3_000);
    const stopped = writer.stop(30_000);
    store.connect = async () => {};
    await clock.advance(10_000);
    expect(await stopped).toBe(0);
    expect(store.stored).toEqual([1]);
  });
});

describe('remedyFor', () => {
  it.each([
    [sqlError('22P03'), 'data'],
    [sqlError('23514'), 'data'],
    [sqlError('P0001'), 'data'],
    [sqlError('40P01'), 100],
    [sqlError('57P01'), 500],
    [sqlError('57P03'), 500],
    [sqlError('53100'), 5_000],
    [sqlError('53300'), 2_000],
    [sqlError('42501'), 10_000],
    [sqlError('XX000'), 5_000],
    [Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), 500],
    [Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }), 500],
    [new Error('Connection terminated unexpectedly'), 500],
    [new KwError('away', { code: 'DATABASE_AWAY', cause: sqlError('53300') }), 2_000],
  ] as const)('%s: %s', (error, remedy) => {
    expect(remedyFor(error)).toBe(remedy);
  });
});
