/** What jobs ask for by their type or comment, beside what users enable by hand: kw.sync_job_promotions. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';

let db: TestDatabase;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());
beforeEach(async () => {
  await db.client.query('TRUNCATE kw.promoted_metrics, kw.jobs CASCADE');
  await db.client.query("SELECT kw.job_start(7, '{n1,n2}', 'alice', 'slurm')");
});

async function sync(...patterns: (string | null)[]): Promise<number> {
  const { rows } = await db.client.query("SELECT kw.sync_job_promotions('slurm', 7, $1) AS n", [patterns]);
  return rows[0].n;
}

async function inForce(): Promise<string[]> {
  const { rows } = await db.client.query(
    "SELECT origin || ' ' || device_id || ' ' || metric_id AS text FROM kw.promoted_metrics ORDER BY 1",
  );
  return rows.map(({ text }) => text);
}

describe('what a job asks for', () => {
  it('is enabled on its nodes, follows the job, and ends with it', async () => {
    expect(await sync('a.*', 'b')).toBe(4);
    expect(await inForce()).toEqual([
      'scheduler n1 a.*',
      'scheduler n1 b',
      'scheduler n2 a.*',
      'scheduler n2 b',
    ]);
    expect(await sync('b', 'c')).toBe(4);
    expect(await inForce()).toEqual(['scheduler n1 b', 'scheduler n1 c', 'scheduler n2 b', 'scheduler n2 c']);
    await db.client.query("SELECT kw.job_stop(7, 'slurm', nodes => '{n2}')");
    expect(await sync('b', 'c')).toBe(2);
    await db.client.query("SELECT kw.job_stop(7, 'slurm')");
    expect(await sync('b', 'c')).toBe(0);
    expect(await inForce()).toEqual([]);
  });

  it('is enabled again when the job is queued again', async () => {
    await sync('a');
    await db.client.query("SELECT kw.job_stop(7, 'slurm')");
    await db.client.query(
      "SELECT kw.job_start(7, '{n3}', 'alice', 'slurm', started => now() + interval '1 us')",
    );
    await db.client.query('SELECT 1');
    expect(await sync('a')).toBe(1);
    expect(await inForce()).toEqual(['scheduler n3 a']);
  });

  it('leaves alone what was enabled by hand, the same pattern too', async () => {
    await db.client.query("SELECT kw.enable_metrics('{n1}', 'a', 7, 'slurm')");
    await db.client.query("SELECT kw.enable_metrics('{n1}', 'by_device')");
    await sync('a');
    expect(await inForce()).toEqual(['scheduler n1 a', 'scheduler n2 a', 'user n1 a', 'user n1 by_device']);
    await sync();
    expect(await inForce()).toEqual(['user n1 a', 'user n1 by_device']);
  });

  it('does not come back when it was disabled by hand', async () => {
    await sync('a', 'b');
    await db.client.query("SELECT kw.disable_metrics(NULL, 'a', 7, 'slurm')");
    expect(await sync('a', 'b')).toBe(2);
    expect(await inForce()).toEqual(['scheduler n1 b', 'scheduler n2 b']);
  });

  it('is bounded: empty, long and too many patterns are left out', async () => {
    const many = Array.from({ length: 100 }, (_, number) => `p${number}`);
    const told: string[] = [];
    const hear = ({ message = '' }) => told.push(message);
    db.client.on('notice', hear);
    expect(await sync('', null, 'x'.repeat(1025), ...many)).toBe(128);
    expect(told).toHaveLength(3 + 36);
    expect(told[0]).toBe(
      'job 7 of source slurm: a pattern is empty or longer than 1024 bytes, and is left out',
    );
    // A source is looked at every second.
    expect(await sync('', null, 'x'.repeat(1025), ...many)).toBe(128);
    await sync('');
    await sync('');
    expect(told).toHaveLength(3 + 36 + 1);
    db.client.off('notice', hear);
  });

  it('wakes nobody when nothing changes', async () => {
    await sync('a');
    const heard: string[] = [];
    db.client.on('notification', ({ channel }) => heard.push(channel));
    await db.client.query('LISTEN kw_promotions');
    await sync('a');
    await sync('a');
    expect(heard).toEqual([]);
    await sync('b');
    expect(heard).toEqual(['kw_promotions']);
    await db.client.query('UNLISTEN kw_promotions');
  });
});

it.each([
  ['taurus-1.lyon.grid5000.fr', 'taurus-1'],
  ['taurus-1', 'taurus-1'],
  ['10.0.0.1', '10.0.0.1'],
  ['fe80::1.2', 'fe80::1.2'],
  ['.x', '.x'],
])('the device of node %s is %s', async (node, device) => {
  const { rows } = await db.client.query("SELECT kw.device_of_node('oar', $1) AS device", [node]);
  expect(rows[0].device).toBe(device);
});

it('a mapping goes before the cut at the first dot, which can be switched off', async () => {
  await db.client.query("INSERT INTO kw.job_sources (name, kind) VALUES ('oar', 'oar')");
  await db.client.query("INSERT INTO kw.node_names VALUES ('oar', 'a.b', 'mapped.name')");
  const of = async (node: string) =>
    (await db.client.query("SELECT kw.device_of_node('oar', $1) AS device", [node])).rows[0].device;
  expect(await of('a.b')).toBe('mapped.name');
  expect(await of('a.c')).toBe('a');
  await db.client.query(`UPDATE kw.job_sources SET node_mapping = '{"cut_at_dot": false}'`);
  expect(await of('a.c')).toBe('a.c');
});

it('nodes that join a job get what it asked for, and lose it when the job asks no more', async () => {
  await sync('a');
  await db.client.query("SELECT kw.job_start(7, '{n3}', 'alice', 'slurm')");
  expect(await inForce()).toEqual(['scheduler n1 a', 'scheduler n2 a', 'scheduler n3 a']);
  expect(await sync()).toBe(0);
  expect(await inForce()).toEqual([]);
});
