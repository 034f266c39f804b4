/** What waited for days in a spool goes into chunks that are compressed by now, and into summaries that were made. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Batch, BatchBuilder, type ClosedBatch } from '../../../src/lib/collector/batch.ts';
import { DatabaseStore } from '../../../src/lib/collector/databaseStore.ts';
import { maintain } from '../../../src/lib/database/maintain.ts';
import type { Sample } from '../../../src/lib/sample.ts';
import { testIdentity } from '../../support/collector.ts';
import { type TestDatabase, testDatabase, testFlavours } from '../../support/database.ts';

const DAY_US = 86_400e6;
const NOW_US = Date.now() * 1000;
/** Noon, three days ago: older than the compression age. */
const NOON_US = Math.floor(NOW_US / DAY_US) * DAY_US - 2.5 * DAY_US;
const DEVICES = 20;
const SECONDS = 500;
const RUN_US = NOON_US - 3600e6;

describe.each(testFlavours)('late values on %s', (flavour) => {
  let db: TestDatabase;
  beforeEach(async () => {
    db = await testDatabase({ flavour });
  });
  afterEach(() => db.drop());

  const seriesOf = Array.from({ length: DEVICES }, (_, index) => ({
    deviceId: `pdu-${index}`,
    metricId: 'watt',
    labels: { outlet: '1' },
  }));

  /** A value a second of each device. */
  function batchFrom(fromUs: number, value: number, offset: number): Batch {
    const builder = new BatchBuilder({ nowUs: () => NOW_US, onRefused: () => {} });
    const samples: Sample[] = [];
    for (let second = 0; second < SECONDS; second++) {
      for (const series of seriesOf) samples.push({ series, timestampUs: fromUs + second * 1e6, value });
    }
    builder.add(samples);
    const closed = builder.close(fromUs + SECONDS * 1e6) as ClosedBatch;
    return { ...closed, place: { segment: 1, offset }, spooled: true, runUs: RUN_US };
  }

  async function query<T>(sql: string): Promise<T[]> {
    return (await db.client.query(sql)).rows as T[];
  }

  const compress = () =>
    db.client.query(
      "DO $$ DECLARE id int; BEGIN SELECT job_id INTO id FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression'; CALL run_job(id); END $$",
    );

  /** Rows that lie outside of what is compressed, in all chunks that are. */
  async function outside(): Promise<number> {
    const chunks = await query<{ name: string }>(
      `SELECT format('%I.%I', chunk_schema, chunk_name) AS name FROM timescaledb_information.chunks
       WHERE hypertable_name = 'metrics' AND is_compressed`,
    );
    expect(chunks.length).toBeGreaterThan(0);
    let rows = 0;
    for (const { name } of chunks) {
      rows += (await query<{ n: number }>(`SELECT count(*)::int AS n FROM ONLY ${name}`))[0]?.n ?? 0;
    }
    return rows;
  }

  it('are stored, compressed again, and in the summary of their time', async () => {
    const connection = await new DatabaseStore(db.target, testIdentity()).open();
    try {
      const store = async (batch: Batch) => {
        const outcome = await connection.store(
          { batches: [batch], losses: [], horizonUs: batch.horizonUs, floor: undefined },
          () => {},
        );
        expect(outcome).toEqual({ alreadyRows: 0, othersRows: 0, refused: [] });
      };
      await store(batchFrom(NOON_US, 1, 1));
      await maintain(db.client, flavour);
      const summary = () =>
        query(
          `SELECT sum(count)::int AS n, max(max) AS max FROM kw.metrics_summary WHERE device_id = 'pdu-7'`,
        );
      expect(await summary()).toEqual([{ n: SECONDS, max: 1 }]);
      if (flavour === 'timescaledb') {
        await compress();
        expect(await outside()).toBe(0);
      }
      // Half a second beside those that are there.
      await store(batchFrom(NOON_US + 500_000, 3, 2));
      expect(await query('SELECT count(*)::int AS n FROM kw.metrics')).toEqual([
        { n: 2 * DEVICES * SECONDS },
      ]);
      await maintain(db.client, flavour);
      expect(await summary()).toEqual([{ n: 2 * SECONDS, max: 3 }]);
      if (flavour !== 'timescaledb') return;
      expect(await outside()).toBe(DEVICES * SECONDS);
      await compress();
      expect(await outside()).toBe(0);
      expect(await query('SELECT count(*)::int AS n FROM kw.metrics')).toEqual([
        { n: 2 * DEVICES * SECONDS },
      ]);
    } finally {
      connection.destroy();
    }
  });
});
