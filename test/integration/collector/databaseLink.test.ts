/** The collector's second connection, as far as it takes a database. */
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { DatabaseLink } from '../../../src/lib/collector/databaseLink.ts';
import { testDatabase } from '../../support/database.ts';

test('what is to be told last is told also when the end comes while something is told', async () => {
  const db = await testDatabase();
  onTestFinished(() => db.drop());
  const told: string[] = [];
  const telling = new EventTarget();
  const link = new DatabaseLink(db.target, {
    collectorId: 'test',
    onPromotions: () => {},
    onSources: () => {},
    onJobs: () => {},
    onProblem: (problem) => told.push(problem),
    async publish(client) {
      telling.dispatchEvent(new Event('begin'));
      await client.query('SELECT pg_sleep(0.05)');
      told.push('published');
    },
  });
  link.start();
  await once(telling, 'begin');
  await link.stop();
  expect(told).toEqual(['published', 'published']);
});
