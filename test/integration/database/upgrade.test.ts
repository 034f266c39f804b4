/** A full database of an earlier kw is migrated in place, and nothing in it changes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { maintain } from '../../../src/lib/database/maintain.ts';
import { checkSchema, listMigrations, migrate } from '../../../src/lib/database/migrate.ts';
import { findGaps } from '../../../src/lib/metrics/gaps.ts';
import { resolveSelection } from '../../../src/lib/metrics/selection.ts';
import { nowUs } from '../../../src/lib/time.ts';
import { type TestDatabase, testDatabase, testFlavours } from '../../support/database.ts';

describe.each(testFlavours)('an upgrade on %s', (flavour) => {
  let db: TestDatabase;
  const [before, newest] = listMigrations(flavour)
    .slice(-2)
    .map(({ version }) => version) as [number, number];

  beforeAll(async () => {
    db = await testDatabase({ flavour, empty: true });
  });
  afterAll(() => db.drop());

  test('from the last schema but one keeps all rows', async () => {
    const { client } = db;
    await migrate(client, { flavour, upTo: before });
    await client.query(`
      SELECT kw.ensure_storage(now() - interval '3 days', now());
      INSERT INTO kw.metrics
      SELECT now() - make_interval(mins => i), 'node-' || i % 5, 'power_watt', i, '{"port": "1"}'
      FROM generate_series(0, 4000) i;
      SELECT kw.job_start(1, '{node-1}', 'alice');
      SELECT kw.enable_metrics(NULL, 'x', 1)`);
    await maintain(client, flavour);
    const contents = async () =>
      (
        await client.query(`
          SELECT (SELECT count(*)::int FROM kw.metrics) AS metrics, (SELECT sum(value) FROM kw.metrics) AS sum,
                 (SELECT sum(count)::int FROM kw.metrics_summary) AS summary,
                 (SELECT count(*)::int FROM kw.jobs) AS jobs, (SELECT count(*)::int FROM kw.promoted_metrics) AS promoted`)
      ).rows[0];
    const rowsBefore = await contents();
    expect(rowsBefore).toEqual({ metrics: 4001, sum: 8_002_000, summary: 4001, jobs: 1, promoted: 1 });
    await expect(checkSchema(client)).rejects.toMatchObject({
      code: 'SCHEMA_OLD',
      hint: 'run kw db migrate',
    });

    expect(await migrate(client)).toMatchObject({ flavour, from: before, to: newest });
    expect(await checkSchema(client)).toBe(flavour);
    expect(await contents()).toEqual(rowsBefore);
  });

  test('from before runs were recorded claims no gap of which nothing is known', async () => {
    const old = await testDatabase({ flavour, empty: true });
    try {
      const { client } = old;
      await migrate(client, { flavour, upTo: 11 });
      await client.query(`
        INSERT INTO kw.collectors (collector_id, name, host, version, started_at, seen_at, written_up_to, stopped_at)
        VALUES (gen_random_uuid(), 'c1', 'h', '1', now() - interval '4 h', now(), now() - interval '2 h', now());
        INSERT INTO kw.metric_catalogue (collector_id, device_id, metric_id, period_ms, protocol)
        SELECT collector_id, 'node-1', 'power_watt', 1000, 'snmp' FROM kw.collectors`);
      await migrate(client);
      const selection = (from: string, to: string) =>
        resolveSelection(client, { devices: ['node-1'], from, to }, nowUs());
      const gaps = async (from: string, to: string) =>
        (await findGaps(client, await selection(from, to), nowUs(), undefined)).warnings;
      expect(await gaps('-6h', '-3h')).toEqual([]);
      expect(await gaps('-6h', '-1h')).toEqual([
        expect.stringMatching(/^no collector ran for node-1 from \S+ to \S+ \(c1 was stopped\)$/),
      ]);
    } finally {
      await old.drop();
    }
  });
});
