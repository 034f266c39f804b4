/** A full database of an earlier kw is migrated in place, and nothing in it changes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { maintain } from '../../../src/lib/database/maintain.ts';
import { checkSchema, listMigrations, migrate } from '../../../src/lib/database/migrate.ts';
import { type TestDatabase, testDatabase, testFlavours } from '../../support/database.ts';

describe.each(testFlavours)('an upgrade on %s', (flavour) => {
  let db: TestDatabase;
  const newest = listMigrations(flavour).at(-1)?.version ?? 0;

  beforeAll(async () => {
    db = await testDatabase({ flavour, empty: true });
  });
  afterAll(() => db.drop());

  test('from the last schema but one keeps all rows', async () => {
    const { client } = db;
    await migrate(client, { flavour, upTo: newest - 1 });
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
    const before = await contents();
    expect(before).toEqual({ metrics: 4001, sum: 8_002_000, summary: 4001, jobs: 1, promoted: 1 });
    await expect(checkSchema(client)).rejects.toMatchObject({
      code: 'SCHEMA_OLD',
      hint: 'run kw db migrate',
    });

    expect(await migrate(client)).toMatchObject({ flavour, from: newest - 1, to: newest });
    expect(await checkSchema(client)).toBe(flavour);
    expect(await contents()).toEqual(before);
  });
});
