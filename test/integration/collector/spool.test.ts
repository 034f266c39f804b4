/** What was read outlives the collector, the database and the connection, and is stored once. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { packageRoot } from '../../../src/lib/packageRoot.ts';
import { type TestDatabase, testDatabase, testFlavours } from '../../support/database.ts';
import { type HalfOpenProxy, halfOpenProxy } from '../../support/halfOpenProxy.ts';
import { runKw } from '../../support/runKw.ts';
import { skipUnless } from '../../support/skip.ts';
import { OUTLET_WATT, type Snmpd, snmpdPath, startSnmpd } from '../../support/snmpd.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const OUTLETS = 20;

describe.skipIf(skipUnless('snmpd', snmpdPath !== undefined)).each(testFlavours)(
  'the spool on %s',
  (flavour) => {
    let agent: Snmpd;
    let db: TestDatabase;
    let proxy: HalfOpenProxy;
    let folder: string;
    let remove: () => void;
    let env: Record<string, string>;
    const children: ChildProcess[] = [];

    beforeAll(async () => {
      agent = await startSnmpd({ addresses: 1, firstAddress: '127.26.8.1' });
    });
    afterAll(() => agent.stop());
    beforeEach(async () => {
      db = await testDatabase({ flavour });
      proxy = await halfOpenProxy(db.target);
      ({ folder, remove } = temporaryFolder());
      mkdirSync(join(folder, 'metrics.d'));
      writeFileSync(
        join(folder, 'kw.yaml'),
        'metrics_dir: metrics.d\nlisten: off\ncollector: {name: test}\n',
      );
      const entries = Array.from({ length: OUTLETS }, (_, index) => {
        const url = `snmp://public@${agent.addresses[0]}:${agent.port}/${OUTLET_WATT}.${index + 1}`;
        return `- {name: pdu_outlet_${index + 1}_watt, device_id: pdu-1, url: "${url}", update_every: 200}\n`;
      });
      writeFileSync(join(folder, 'metrics.d', 'a.yaml'), entries.join(''));
      env = {
        KW_CONFIG: join(folder, 'kw.yaml'),
        KW_DATA_DIR: join(folder, 'data'),
        KW_DATABASE_URL: proxy.target.url,
      };
    });
    afterEach(async () => {
      for (const child of children.splice(0)) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const exited = once(child, 'exit');
        child.kill('SIGKILL');
        await exited;
      }
      await proxy.close();
      await sleep(100);
      await db.client.query(
        'SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
      );
      await db.drop();
      remove();
    });

    interface Collecting {
      log(): string[];
      end(signal: NodeJS.Signals): Promise<number | null>;
    }

    function collect(...args: string[]): Collecting {
      const child = spawn(process.execPath, [join(packageRoot(), 'bin', 'dev.js'), 'collect', ...args], {
        env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      children.push(child);
      let text = '';
      child.stderr?.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      return {
        log: () =>
          text
            .split('\n')
            .filter((line) => line.startsWith('{'))
            .map((line) => (JSON.parse(line) as { msg: string }).msg),
        async end(signal) {
          const exited = once(child, 'exit');
          child.kill(signal);
          const [code] = await exited;
          return code as number | null;
        },
      };
    }

    async function started(running: Collecting): Promise<void> {
      await expect.poll(running.log, { timeout: 15_000 }).toContain('collecting');
    }

    interface Stored {
      rows: number;
      distinct: number;
      /** Instants that did not give all outlets. */
      torn: number;
    }

    async function stored(): Promise<Stored> {
      const result = await db.client.query<Stored>(
        `SELECT sum(n)::int AS rows, sum(d)::int AS distinct, count(*) FILTER (WHERE d <> ${OUTLETS})::int AS torn
       FROM (SELECT count(*) AS n, count(DISTINCT metric_id) AS d FROM kw.metrics GROUP BY device_id, timestamp) i`,
      );
      return result.rows[0] as Stored;
    }

    const segments = () => {
      const spool = join(folder, 'data', 'collector', 'spool');
      return existsSync(spool) ? readdirSync(spool).filter((name) => name.endsWith('.seg')) : [];
    };

    it('keeps what was read while the database is away through kill -9 and an orderly end, and stores it once', async () => {
      const first = collect();
      await started(first);
      await expect.poll(async () => (await stored()).rows, { timeout: 10_000 }).toBeGreaterThan(OUTLETS);
      proxy.refuse();
      await sleep(4_000);
      await first.end('SIGKILL');
      expect(segments()).not.toEqual([]);
      const before = await stored();

      // Again without a database, and stopped in order: the spool of the first run stays as it is.
      const second = collect();
      await started(second);
      await sleep(3_000);
      expect(await second.end('SIGTERM')).toBe(0);
      expect(await stored()).toEqual(before);

      await proxy.heal();
      const third = collect();
      await started(third);
      await sleep(3_000);
      expect(await third.end('SIGTERM')).toBe(0);
      expect(third.log().at(-1)).toBe('stopped: every value that was read is stored');
      const after = await stored();
      expect(after).toMatchObject({ distinct: after.rows, torn: 0 });
      // Five a second: of the first run 4 s but for the last flush interval, of the others what they ran.
      expect(after.rows - before.rows).toBeGreaterThan((4 + 3 + 3 - 2) * 5 * OUTLETS);
      expect(segments()).toEqual([]);

      // Each run is told as it was: what the last one stored moved the ends of those before.
      const { rows: runs } = await db.client.query(
        `SELECT r.is_last, (SELECT count(*)::int FROM kw.metrics m WHERE m.timestamp >= r.started_at
           AND m.timestamp < coalesce((SELECT min(n.started_at) FROM kw.collector_runs n WHERE n.started_at > r.started_at), 'infinity')
           AND m.timestamp > r.written_up_to) AS beyond,
         extract(epoch FROM r.written_up_to - r.started_at)::float8 > 1.5 AS is_long, r.stopped_at IS NOT NULL AS stopped
       FROM kw.collector_runs r ORDER BY r.started_at`,
      );
      expect(runs).toEqual([
        { is_last: false, beyond: 0, is_long: true, stopped: false },
        { is_last: false, beyond: 0, is_long: true, stopped: true },
        { is_last: true, beyond: 0, is_long: true, stopped: true },
      ]);
      const { stderr } = await runKw(['query', '--device', 'pdu-1', '--format', 'csv', '--from', '-1m'], {
        env: { KW_DATABASE_URL: db.url },
      });
      expect(stderr).toContain('no collector ran for pdu-1 from ');
    });

    it('is stored by kw spool drain while no collector runs, once, with the run that it was read in', async () => {
      const first = collect();
      await started(first);
      await expect.poll(async () => (await stored()).rows, { timeout: 10_000 }).toBeGreaterThan(OUTLETS);
      proxy.refuse();
      await sleep(2_500);
      const drainEnv = { ...env, KW_DATABASE_URL: db.url };
      const busy = await runKw(['spool', 'drain'], { env: drainEnv });
      expect(busy.code).toBe(0);
      expect(busy.stderr).toMatch(
        /its collector runs and stores them by itself, as soon as its database takes them \(kw status says whether it does\); \d+ values wait$/m,
      );
      await first.end('SIGKILL');
      const away = await runKw(['spool', 'drain'], { env });
      expect(away.code).not.toBe(0);
      const before = await stored();
      const drained = await runKw(['spool', 'drain', '--json'], { env: drainEnv });
      expect(drained.code).toBe(0);
      const after = await stored();
      expect(after).toMatchObject({ distinct: after.rows, torn: 0 });
      expect(after.rows - before.rows).toBeGreaterThan(1.5 * 5 * OUTLETS);
      expect(JSON.parse(drained.stdout)).toMatchObject({
        running: [],
        spools: [{ stored: after.rows - before.rows, refused: 0, lost: 0, waiting: 0 }],
      });
      expect(segments()).toEqual([]);
      const { stderr } = await runKw(['spool', 'drain'], { env: drainEnv });
      expect(stderr).toContain('nothing waits');
      // The run reaches up to what was drained, and the collector does not seem to run.
      const { rows: runs } = await db.client.query(
        `SELECT written_up_to >= (SELECT max(timestamp) FROM kw.metrics) AS all FROM kw.collector_runs`,
      );
      expect(runs).toEqual([{ all: true }]);
    });
  },
);
