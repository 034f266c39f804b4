import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkSchema, listMigrations, migrate } from '../../../src/lib/database/migrate.ts';
import { type TestDatabase, testDatabase, testFlavours } from '../../support/database.ts';

describe.each(testFlavours)('migrations on %s', (flavour) => {
  let db: TestDatabase;
  const all = listMigrations(flavour);
  const newest = all.at(-1)?.version ?? 0;

  beforeAll(async () => {
    db = await testDatabase({ flavour, empty: true });
  });
  afterAll(() => db.drop());

  test('an empty database has no schema, and that is said', async () => {
    await expect(checkSchema(db.client)).rejects.toMatchObject({
      code: 'SCHEMA_MISSING',
      hint: 'run kw db migrate',
    });
  });

  test('a dry run tells the SQL and changes nothing', async () => {
    const result = await migrate(db.client, { flavour, dryRun: true });
    expect(result).toMatchObject({ flavour, from: 0, to: newest, applied: [] });
    expect(result.sql).toContain('CREATE TABLE kw.metrics (');
    await expect(checkSchema(db.client)).rejects.toMatchObject({ code: 'SCHEMA_MISSING' });
  });

  test('all of them are applied once, in order', async () => {
    const result = await migrate(db.client, { flavour });
    expect(result.applied).toEqual(all.map((one) => `${String(one.version).padStart(4, '0')}_${one.name}`));
    expect(await checkSchema(db.client)).toBe(flavour);
    expect((await migrate(db.client)).applied).toEqual([]);
  });
});
