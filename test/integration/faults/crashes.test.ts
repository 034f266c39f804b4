/** A server or a connection that breaks in the middle of storing: every batch is stored once all the same. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, it } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { testDatabase } from '../../support/database.ts';
import { expectStoredOnce, untilDrained } from '../../support/faults/expectation.ts';
import { type Load, startLoad } from '../../support/faults/load.ts';
import { type OwnServer, startOwnServer } from '../../support/faults/ownServer.ts';
import { halfOpenProxy } from '../../support/halfOpenProxy.ts';
import { waitUntil } from '../../support/waitUntil.ts';

/** A row of this device makes COPY wait: time to be killed in. */
const SLOW_COPY = `
  CREATE FUNCTION kw.be_slow() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_sleep(0.4); RETURN NEW; END $$;
  CREATE TRIGGER be_slow BEFORE INSERT ON kw.metrics FOR EACH ROW
    WHEN (NEW.device_id = 'pdu-7' AND NEW.metric_id = 'reading_number') EXECUTE FUNCTION kw.be_slow()`;

describe('the database server', () => {
  let server: OwnServer;
  let load: Load;
  beforeAll(async () => {
    server = await startOwnServer();
  });
  afterAll(async () => {
    await load?.remove();
    await server?.remove();
  });

  it('may lose a process in COPY, and crash as a whole, twice each', async () => {
    load = await startLoad({ database: server.url });
    for (let round = 0; round < 2; round++) {
      await sleep(500);
      await killInCopy(server);
      await untilStoring(load);
      await sleep(500);
      await server.crash();
      await sleep(1_000);
      await server.start();
      await untilStoring(load);
    }
    await untilDrained(load);
    expectStoredOnce(await load.settle());
  });
});

describe('the connection to the database', () => {
  let load: Load | undefined;
  afterEach(() => load?.remove());

  it('may break before COMMIT arrives, and before its answer does, again and again', async () => {
    const db = await testDatabase();
    const proxy = await halfOpenProxy(db.target);
    try {
      load = await startLoad({ database: db.url, databaseUrl: proxy.target.url });
      const cuts = { before: 0, behind: 0 };
      let commits = 0;
      proxy.judge = (data) => {
        if (!data.includes('COMMIT')) return 'pass';
        // Two in three: a batch whose first attempt was cut also meets a cut in its second one.
        const verdict = (['before', 'behind', 'pass'] as const)[commits++ % 3] as
          | 'before'
          | 'behind'
          | 'pass';
        if (verdict !== 'pass') cuts[verdict]++;
        return verdict;
      };
      await waitUntil(() => cuts.before >= 5 && cuts.behind >= 5, 50_000);
      proxy.judge = () => 'pass';
      await untilDrained(load);
      expectStoredOnce(await load.settle());
    } finally {
      await load?.remove();
      await proxy.close();
      await db.drop();
    }
  });
});

/** kill -9 of the process that copies the collector's rows, while it does: the server restarts after that. */
async function killInCopy(server: OwnServer): Promise<void> {
  const client = await openClient({ url: server.url, label: 'own server', embedded: false });
  client.on('error', () => {});
  try {
    await client.query(
      `DROP TRIGGER IF EXISTS be_slow ON kw.metrics; DROP FUNCTION IF EXISTS kw.be_slow; ${SLOW_COPY}`,
    );
    let pid: number | undefined;
    await waitUntil(
      async () => {
        const { rows } = await client.query(
          "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'kw-collect %' AND query LIKE 'COPY%' AND wait_event = 'PgSleep'",
        );
        pid = rows[0]?.pid;
        return pid !== undefined;
      },
      30_000,
      20,
    );
    process.kill(pid as number, 'SIGKILL');
  } finally {
    await client.end().catch(() => {});
  }
}

/** The collector has found the server again, and stores. */
async function untilStoring({ collector }: Load): Promise<void> {
  const { stored } = await collector.counters();
  await waitUntil(async () => (await collector.counters()).stored > stored, 60_000);
}
