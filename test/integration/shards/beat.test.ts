/** kw.shard_beat(): who is a member, since when, and what nobody may do with it. */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { type TestDatabase, testDatabase, testFlavours } from '../../support/database.ts';

const uuid = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
const fingerprintOf = (keys: string[]) =>
  createHash('sha256').update(keys.join('\u0001')).digest('hex').slice(0, 32);

interface Answer {
  now: number;
  last: number;
  missing: boolean;
  since: number | null;
  epochs: { epoch: number; since: number; members: { collector: string; fixed: boolean }[] }[];
}

describe.each(testFlavours)('a beat (%s)', (flavour) => {
  let db: TestDatabase;
  let collector: pg.Client;
  beforeAll(async () => {
    db = await testDatabase({ flavour });
    collector = await openClient(db.target);
    await collector.query('SET ROLE kw_collector');
  });
  afterAll(async () => {
    await collector.end();
    await db.drop();
  });
  beforeEach(async () => {
    await db.client.query('TRUNCATE kw.shard_offers, kw.shard_leases, kw.shard_epochs');
    await db.client.query('UPDATE kw.shard_state SET epoch = 0');
  });

  const keys = ['a 1\na', 'b 1\nb\nc'];
  async function beat(
    number: number,
    options: {
      keys?: string[];
      known?: number;
      leaving?: boolean;
      fixed?: boolean;
      fingerprint?: string;
    } = {},
  ): Promise<Answer> {
    const offered = options.keys ?? keys;
    const values = [
      uuid(number),
      options.fingerprint ?? fingerprintOf(offered),
      offered,
      options.fixed ?? false,
      0,
      options.known ?? -1,
      options.leaving ?? false,
    ];
    const { rows } = await collector.query<{ answer: Answer }>(
      'SELECT kw.shard_beat($1, $2, $3, $4, $5, $6, $7) AS answer',
      values,
    );
    return rows[0]?.answer as Answer;
  }
  const membersOf = ({ epochs }: Answer) =>
    epochs.map(({ members }) => members.map((member) => Number(member.collector.slice(-3))));
  /** As if nobody had been heard of for that long. */
  const age = (number: number, seconds: number) =>
    db.client.query(
      `UPDATE kw.shard_leases SET renewed_at = renewed_at - $2 * interval '1 s', expires_at = expires_at - $2 * interval '1 s',
         changed_at = changed_at - $2 * interval '1 s' WHERE collector_id = $1`,
      [uuid(number), seconds],
    );

  test('makes the first member the owner at once, and announces the second', async () => {
    const first = await beat(1);
    expect(membersOf(first)).toEqual([[1]]);
    expect(Math.abs((first.epochs[0]?.since ?? 0) - first.now)).toBeLessThan(200_000);
    const second = await beat(2, { known: 1 });
    expect(membersOf(second)).toEqual([[1, 2]]);
    const aheadUs = (second.epochs[0]?.since ?? 0) - second.now;
    expect(aheadUs).toBeGreaterThan(1_800_000);
    expect(aheadUs).toBeLessThan(2_050_000);
    // Between the instants at which devices are read.
    expect((second.epochs[0]?.since ?? 0) % 50_000).toBe(35_000);
    expect(membersOf(await beat(1, { known: 2 }))).toEqual([]);
    expect(membersOf(await beat(2, { known: 0 }))).toEqual([[1], [1, 2]]);
  });

  test('asks for an offer once, and takes none that is not what its name says', async () => {
    const { rows } = await collector.query<{ answer: Answer }>(
      'SELECT kw.shard_beat($1, $2, NULL, false, 0, -1, false) AS answer',
      [uuid(1), fingerprintOf(keys)],
    );
    expect(rows[0]?.answer).toMatchObject({ missing: true, epochs: [] });
    await expect(beat(1, { fingerprint: fingerprintOf(['x']) })).rejects.toThrow('this is no offer');
    await expect(beat(1, { keys: ['no device'] })).rejects.toThrow('this is no offer');
    await expect(
      beat(1, { keys: Array.from({ length: 100_001 }, (_, index) => `k${index}\nd`) }),
    ).rejects.toThrow('this is no offer');
    await beat(1);
    const devices = await db.client.query('SELECT devices FROM kw.shard_leases');
    expect(devices.rows).toEqual([{ devices: 3 }]);
  });

  test('ends the lease of a member that was not heard of for 5 s, and none sooner', async () => {
    await beat(1);
    await beat(2);
    await age(2, 4.5);
    expect(membersOf(await beat(1, { known: 2 }))).toEqual([]);
    await age(2, 1);
    const answer = await beat(1, { known: 2 });
    expect(membersOf(answer)).toEqual([[1]]);
    // Not before the epoch that is to come.
    const { rows } = await db.client.query(
      'SELECT bool_and(later) AS ok FROM (SELECT since >= lag(since) OVER (ORDER BY epoch) AS later FROM kw.shard_epochs) e',
    );
    expect(rows).toEqual([{ ok: true }]);
  });

  test('gives everybody time to come back when nobody was heard of: the database was away', async () => {
    await beat(1);
    await beat(2);
    await age(1, 3_600);
    await age(2, 3_600);
    expect(membersOf(await beat(1, { known: 2 }))).toEqual([]);
    await age(2, 7);
    await beat(1);
    await beat(2);
    expect(membersOf(await beat(1, { known: 2 }))).toEqual([]);
    // Once: who stays away is dead.
    await age(2, 3_600);
    await age(1, 3_600);
    await beat(1);
    await age(1, 3_600);
    await age(2, 3_600);
    await beat(1);
    expect(membersOf(await beat(1, { known: 2 }))).toEqual([[1]]);
  });

  test('lets a member leave, and the others have its devices two seconds later', async () => {
    await beat(1);
    await beat(2);
    const left = await beat(2, { leaving: true, known: 2 });
    expect(membersOf(left)).toEqual([[1]]);
    expect((left.since ?? 0) - left.now).toBeGreaterThan(1_500_000);
    expect((await beat(2, { leaving: true, known: 3 })).since).toBeNull();
  });

  test('takes a changed offer, but not each second', async () => {
    await beat(1);
    expect(membersOf(await beat(1, { keys: ['x 1\nx'], known: 1 }))).toEqual([]);
    await age(1, 3);
    await beat(2);
    expect(membersOf(await beat(1, { keys: ['x 1\nx'], known: 2 }))).toEqual([[1, 2]]);
    for (let index = 0; index < 100; index++) await beat(1, { keys: [`y${index} 1\ny`] });
    const { rows } = await db.client.query(
      'SELECT (SELECT count(*)::int FROM kw.shard_offers) AS offers, (SELECT count(*)::int FROM kw.shard_epochs) AS epochs',
    );
    expect(rows).toEqual([{ offers: 2, epochs: 3 }]);
  });

  test('ends what a dead member was configured to read, where others read it from then on', async () => {
    await db.client.query('TRUNCATE kw.metric_catalogue, kw.metric_catalogue_past, kw.device_status');
    const mine = ['a 1\na', 'm 1\nmeter', 'own 1\nown'];
    await beat(1, { keys: ['a 1\na', 'm 1\nmeter'] });
    await beat(2, { keys: mine });
    for (const device of ['a', 'meter-port3', 'own', 'stranger']) {
      await db.client.query(
        "INSERT INTO kw.metric_catalogue (collector_id, device_id, metric_id, period_ms, protocol, since) VALUES ($1, $2, 'x', 1, 'snmp', now() - interval '1 h')",
        [uuid(2), device],
      );
      await db.client.query(
        "INSERT INTO kw.device_status (collector_id, device_id, protocol, up) VALUES ($1, $2, 'snmp', true)",
        [uuid(2), device],
      );
    }
    await age(2, 6);
    await beat(1, { keys: ['a 1\na', 'm 1\nmeter'] });
    const { rows } = await db.client.query(
      `SELECT array(SELECT device_id FROM kw.metric_catalogue ORDER BY 1) AS now,
         array(SELECT device_id FROM kw.device_status ORDER BY 1) AS states,
         array(SELECT p.device_id FROM kw.metric_catalogue_past p
           WHERE p.until = (SELECT since FROM kw.shard_epochs ORDER BY epoch DESC LIMIT 1) ORDER BY 1) AS past`,
    );
    expect(rows).toEqual([
      { now: ['own', 'stranger'], states: ['own', 'stranger'], past: ['a', 'meter-port3'] },
    ]);
  });

  test('is for collectors only, and nothing is written but by it', async () => {
    const denied = { code: '42501' };
    for (const table of ['shard_offers', 'shard_leases', 'shard_epochs', 'shard_state']) {
      await expect(collector.query(`DELETE FROM kw.${table}`)).rejects.toMatchObject(denied);
      await expect(collector.query(`SELECT FROM kw.${table} FOR UPDATE`)).rejects.toMatchObject(denied);
    }
    for (const role of ['kw_reader', 'kw_writer', 'kw_scheduler', 'kw_anon', 'kw_service']) {
      await db.client.query(`SET ROLE ${role}`);
      try {
        const call = db.client.query("SELECT kw.shard_beat(gen_random_uuid(), '', '{}', false, 0, 0, false)");
        await expect(call).rejects.toMatchObject(denied);
        await expect(db.client.query('SELECT kw.shard_hold()')).rejects.toMatchObject(denied);
        await expect(db.client.query('SELECT FROM kw.shard_offers')).rejects.toMatchObject(denied);
      } finally {
        await db.client.query('RESET ROLE');
      }
    }
  });

  test('waits for no transaction that stores rows, even one that hangs', async () => {
    await beat(1);
    const storing = await openClient(db.target);
    try {
      await storing.query('BEGIN');
      const { rows } = await storing.query('SELECT kw.shard_hold() AS epoch');
      expect(rows).toEqual([{ epoch: 1 }]);
      const from = performance.now();
      await beat(2);
      expect(performance.now() - from).toBeLessThan(500);
      // Within the same transaction it sees the new one.
      expect((await storing.query('SELECT kw.shard_hold() AS epoch')).rows).toEqual([{ epoch: 2 }]);
    } finally {
      await storing.end();
    }
  });

  test('is waited for by who stores rows, until its epoch is there for all to see', async () => {
    await beat(1);
    const storing = await openClient(db.target);
    try {
      await collector.query('BEGIN');
      await beat(2);
      let answered = false;
      const held = storing.query('SELECT kw.shard_hold() AS epoch').then(({ rows }) => {
        answered = true;
        return rows;
      });
      await sleep(300);
      expect(answered).toBe(false);
      await collector.query('COMMIT');
      expect(await held).toEqual([{ epoch: 2 }]);
    } finally {
      await storing.end();
    }
  });

  test('admits no more than 64 members', async () => {
    for (let number = 1; number <= 64; number++) await beat(number);
    await expect(beat(65)).rejects.toThrow('more than 64 collectors share their devices');
  });
});
