/** Batches into a real database: exactly once, whatever becomes of the connection. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Batch, BatchBuilder, type ClosedBatch } from '../../../src/lib/collector/batch.ts';
import { type CollectorIdentity, DatabaseStore } from '../../../src/lib/collector/databaseStore.ts';
import { OrderlyEnds } from '../../../src/lib/collector/orderlyEnds.ts';
import type { Outcome, StoreConnection, Work } from '../../../src/lib/collector/store.ts';
import type { Sample } from '../../../src/lib/sample.ts';
import { testIdentity } from '../../support/collector.ts';
import { type TestDatabase, testDatabase, testFlavours } from '../../support/database.ts';
import { type HalfOpenProxy, halfOpenProxy } from '../../support/halfOpenProxy.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const NOW_US = Date.now() * 1000;
const RUN_US = NOW_US - 10e6;

function makeBatches(...contents: Sample[][]): Batch[] {
  const builder = new BatchBuilder({
    nowUs: () => NOW_US,
    onRefused: (_sample, problem) => {
      throw new Error(problem);
    },
  });
  return contents.map((samples, index) => {
    builder.add(samples);
    const closed = builder.close(NOW_US) as ClosedBatch;
    return { ...closed, place: { segment: 1, offset: index + 1 }, spooled: false, runUs: RUN_US };
  });
}

/** Stores batches as the writer does. */
function store(connection: StoreConnection, batches: Batch[], more: Partial<Work> = {}): Promise<Outcome> {
  const horizonUs = batches.at(-1)?.horizonUs;
  return connection.store({ batches, losses: [], horizonUs, floor: undefined, ...more }, () => {});
}

const STORED: Outcome = { alreadyRows: 0, othersRows: 0, refused: [] };

function samples(count: number, device = 'pdu-1', timestampUs = NOW_US): Sample[] {
  return Array.from({ length: count }, (_, index) => ({
    series: { deviceId: device, metricId: 'watt', labels: { outlet: String(index) } },
    timestampUs: timestampUs - index,
    value: index / 4,
  }));
}

describe.each(testFlavours)('DatabaseStore on %s', (flavour) => {
  let db: TestDatabase;
  let proxy: HalfOpenProxy;
  let identity: CollectorIdentity;
  let databaseStore: DatabaseStore;
  const open: StoreConnection[] = [];

  beforeEach(async () => {
    db = await testDatabase({ flavour });
    proxy = await halfOpenProxy(db.target);
    identity = { ...testIdentity(), startedAtUs: RUN_US };
    databaseStore = new DatabaseStore(proxy.target, identity);
  });
  afterEach(async () => {
    for (const connection of open.splice(0)) connection.destroy();
    await proxy.close();
    await db.client.query(
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'kw-collect%'",
    );
    await db.drop();
  });

  async function connect(): Promise<StoreConnection> {
    const connection = await databaseStore.open();
    open.push(connection);
    return connection;
  }

  async function count(): Promise<number> {
    const { rows } = await db.client.query('SELECT count(*)::int AS n FROM kw.metrics');
    return rows[0].n;
  }

  it('stores every value as it is, and says up to where', async () => {
    const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 1e308, 0.1];
    const labels = { _device_alias: 'nœud "1"', path: 'C:\\temp', '\u{1f600}': "it's" };
    const written = values.map((value, index) => ({
      series: { deviceId: "o'hara", metricId: 'a"b\\c', labels },
      timestampUs: NOW_US + index,
      value,
    }));
    const [batch] = makeBatches(written) as [Batch];
    const connection = await connect();
    expect(await store(connection, [batch])).toEqual(STORED);
    const { rows } = await db.client.query(
      `SELECT (extract(epoch FROM timestamp) * 1e6)::bigint AS us, device_id, metric_id, value::text, labels
       FROM kw.metrics ORDER BY timestamp`,
    );
    expect(rows).toEqual(
      written.map(({ timestampUs, series }, index) => ({
        us: timestampUs,
        device_id: series.deviceId,
        metric_id: series.metricId,
        value: ['NaN', 'Infinity', '-Infinity', '-0', '1e+308', '0.1'][index],
        labels,
      })),
    );
    const collector = await db.client.query(
      'SELECT (extract(epoch FROM written_up_to) * 1e6)::bigint AS us, stopped_at FROM kw.collectors',
    );
    expect(collector.rows).toEqual([{ us: NOW_US, stopped_at: null }]);
  });

  it('stores a batch once that is handed in twice', async () => {
    const [first, second] = makeBatches(samples(10), samples(20)) as [Batch, Batch];
    const connection = await connect();
    await store(connection, [first]);
    expect(await store(connection, [first])).toEqual({ ...STORED, alreadyRows: 10 });
    await store(connection, [second]);
    expect(await store(connection, [first])).toEqual({ ...STORED, alreadyRows: 10 });
    expect(await count()).toBe(30);
  });

  it.each([
    ['before', 0],
    ['behind', 1],
  ] as const)('stores a batch once when the connection breaks %s COMMIT', async (verdict, storedAlready) => {
    const [batch] = makeBatches(samples(100)) as [Batch];
    let broken = 0;
    proxy.judge = (data) => (broken === 0 && data.includes('COMMIT') && ++broken ? verdict : 'pass');
    const connection = await connect();
    await expect(store(connection, [batch])).rejects.toThrow();
    expect(broken).toBe(1);
    const again = await connect();
    expect(await store(again, [batch])).toEqual({ ...STORED, alreadyRows: storedAlready * 100 });
    expect(await count()).toBe(100);
  });

  it('ends what a hanging connection left running, and stores once', async () => {
    const [first, second] = makeBatches(samples(100), samples(50, 'pdu-2')) as [Batch, Batch];
    const connection = await connect();
    await store(connection, [first]);
    // The server has the rows and the lock on the ledger, and waits for a COMMIT that hangs on the way.
    let hung = false;
    proxy.judge = (data) => {
      if (data.includes('COMMIT')) {
        hung = true;
        proxy.hang();
      }
      return 'pass';
    };
    const hanging = store(connection, [second]);
    hanging.catch(() => {});
    await expect.poll(() => hung, { timeout: 5000 }).toBe(true);
    proxy.judge = () => 'pass';
    await proxy.heal();
    const again = await connect();
    expect(await store(again, [second])).toEqual(STORED);
    connection.destroy();
    await expect(hanging).rejects.toThrow();
    expect(await count()).toBe(150);
  });

  it('tells that an earlier run was stopped in order while the database was away, once anything of it is stored', async () => {
    const { folder, remove } = temporaryFolder();
    const ends = () => new OrderlyEnds(join(folder, 'ends.json'));
    const [batch] = makeBatches(samples(1)) as [Batch];
    const connection = await connect();
    await store(connection, [batch]);
    connection.destroy();
    const stored = { runUs: RUN_US, endUs: NOW_US + 1e6 };
    const unknown = { runUs: NOW_US + 2e6, endUs: NOW_US + 3e6 };
    ends().add(stored);
    ends().add(unknown);
    const next = { ...identity, startedAtUs: NOW_US + 4e6 };
    open.push(await new DatabaseStore(proxy.target, next, { ends: ends() }).open());
    expect(ends().untold).toEqual([unknown]);
    const { rows } = await db.client.query(
      'SELECT is_last, (extract(epoch FROM stopped_at) * 1e6)::bigint AS us FROM kw.collector_runs ORDER BY started_at',
    );
    expect(rows).toEqual([
      { is_last: false, us: stored.endUs },
      { is_last: true, us: null },
    ]);
    remove();
  });

  it('sets rows aside that the server refuses, and stores the rest of the batch', async () => {
    await db.client.query(`
      CREATE FUNCTION pg_temp_refuse() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN IF NEW.value = 7 OR NEW.value = 13.25 THEN RAISE EXCEPTION 'unlucky %', NEW.value; END IF; RETURN NEW; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON kw.metrics FOR EACH ROW EXECUTE FUNCTION pg_temp_refuse();
    `);
    const [batch] = makeBatches(samples(100)) as [Batch];
    const connection = await connect();
    const { alreadyRows, refused } = await store(connection, [batch]);
    expect(alreadyRows).toBe(0);
    expect(refused.map(({ sample, problem }) => [sample.value, problem])).toEqual([
      [7, 'unlucky 7'],
      [13.25, 'unlucky 13.25'],
    ]);
    expect(await count()).toBe(98);
    expect(await store(connection, [batch])).toEqual({ ...STORED, alreadyRows: 100 });
  });

  it('makes room for days that nobody expected', async () => {
    const days = [-400, -30, -1, 0].flatMap((day) => samples(5, `pdu${day}`, NOW_US + day * 86_400e6));
    const [batch] = makeBatches(days) as [Batch];
    const connection = await connect();
    expect(await store(connection, [batch])).toEqual(STORED);
    expect(await count()).toBe(20);
  });

  it('says when it has stopped', async () => {
    const connection = await connect();
    await connection.publish(NOW_US);
    await connection.close();
    const { rows } = await db.client.query(
      'SELECT stopped_at IS NOT NULL AS stopped, written_up_to IS NOT NULL AS written FROM kw.collectors',
    );
    expect(rows).toEqual([{ stopped: true, written: true }]);
  });
});
