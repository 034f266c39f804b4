/**
 * BMCs as a user has them: a metric file with Kwollect's URLs, `kw collect` as a process, several BMCs of which one is
 * dead and one has another password. What is stored, what `kw status` says, and that the password is nowhere.
 */
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { freeUdpPort } from '../../support/freePort.ts';
import { canBuildDcmi, hasIpmiSim, SIM_SENSORS, type SimBmc, startBmcs } from '../../support/ipmiSim.ts';
import { runKw, startKw } from '../../support/kw.ts';
import { skipUnless } from '../../support/skip.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const BMCS = 5;
const SECONDS = 10;
/** Never to be seen; ipmi_sim's user has another one. */
const WRONG_PASSWORD = 'sesame-7f3a91';

describe.skipIf(skipUnless('ipmi_sim', hasIpmiSim))('kw collect on BMCs', () => {
  const { folder, remove } = temporaryFolder();
  let bmcs: SimBmc[];
  let db: TestDatabase;
  let env: Record<string, string>;

  beforeAll(async () => {
    bmcs = await startBmcs(BMCS, 63, { pollMs: 100 });
    db = await testDatabase();
    mkdirSync(join(folder, 'metrics.d'));
    writeFileSync(join(folder, 'kw.yaml'), 'metrics_dir: metrics.d\nlisten: off\nlog_level: trace\n');
    env = {
      KW_CONFIG: join(folder, 'kw.yaml'),
      KW_DATA_DIR: join(folder, 'data'),
      KW_DATABASE_URL: db.url,
      BMC_PASSWORD: 'kwpass',
    };
  }, 30_000);
  afterAll(async () => {
    await Promise.all((bmcs ?? []).map((bmc) => bmc.stop()));
    await db?.drop();
    remove();
  });

  const write = (entries: string) => writeFileSync(join(folder, 'metrics.d', 'bmc.yaml'), entries);
  const entry = (name: string, device: string, url: string) =>
    `- name: ${name}\n  device_id: ${device}\n  url: ${url}\n  update_every: 1000\n`;
  const sensorsOf = ({ address, port }: SimBmc, device: string) =>
    SIM_SENSORS.map(({ name, number }) =>
      // As Kwollect has it, half by name and half by record id.
      entry(
        `sensor_${number}`,
        device,
        `ipmisensor://kwoll:\${env:BMC_PASSWORD}@${address}:${port}/${number % 2 ? name : number}`,
      ),
    ).join('');
  const filesUnder = (path: string): string[] =>
    readdirSync(path, { withFileTypes: true, recursive: true })
      .filter((file) => file.isFile())
      .map((file) => readFileSync(join(file.parentPath ?? file.path, file.name), 'latin1'));

  it('shows in a dry run what would be stored', async () => {
    const [bmc] = bmcs as [SimBmc];
    const dcmi = `ipmi-dcmi://root:calvin@${bmc.address}:${bmc.port}/power?privilege=admin`;
    write(sensorsOf(bmc, 'node-1') + (canBuildDcmi ? entry('node_power_watt', 'node-1', dcmi) : ''));
    const { stdout, stderr, code } = await runKw(['collect', '--once', '--dry-run', '--json'], { env });
    expect([code, stderr.includes('problem')]).toEqual([0, false]);
    const values = stdout.match(/"value": ?[\d.]+/g)?.map((text) => Number(text.replace(/[^\d.]/g, '')));
    expect(values?.sort((a, b) => a - b)).toEqual([
      1.04,
      12,
      23,
      48,
      51,
      240,
      ...(canBuildDcmi ? [241] : []),
      5400,
      5520,
    ]);
  });

  it('misses no interval, stores each value once, and tells of those that cannot be read', async () => {
    const [first] = bmcs as [SimBmc];
    const deadPort = await freeUdpPort('127.0.63.200');
    write(
      bmcs.map((bmc, index) => sensorsOf(bmc, `node-${index + 1}`)).join('') +
        entry('sensor_1', 'wrong', `ipmisensor://root:${WRONG_PASSWORD}@${first.address}:${first.port}/1`) +
        entry('sensor_1', 'dead', `ipmisensor://root:${WRONG_PASSWORD}@127.0.63.200:${deadPort}/1`) +
        entry(
          'sensor_1',
          'nobody',
          `ipmisensor://nobody:${WRONG_PASSWORD}@${(bmcs[1] as SimBmc).address}:${first.port}/1`,
        ),
    );
    const kw = startKw(['collect'], { env });
    let log = '';
    kw.stderr?.on('data', (text) => {
      log += text;
    });
    kw.stdout?.on('data', (text) => {
      log += text;
    });
    await sleep(SECONDS * 1000);
    const commandLine = readFileSync(`/proc/${kw.pid}/cmdline`, 'latin1');
    const status = await runKw(['status'], { env });
    const exited = once(kw, 'exit');
    kw.kill('SIGINT');
    await exited;

    const devices = await db.client.query(
      'SELECT device_id, polls, missed, up, last_error FROM kw.device_status ORDER BY device_id',
    );
    const byId = new Map(devices.rows.map((row) => [row.device_id, row]));
    for (let index = 1; index <= BMCS; index++) {
      const { polls, missed, up, last_error } = byId.get(`node-${index}`);
      expect([missed, up, last_error]).toEqual([0, true, null]);
      const { rows } = await db.client.query(
        `SELECT metric_id, count(*)::int AS n, count(DISTINCT timestamp)::int AS times FROM kw.metrics
         WHERE device_id = $1 GROUP BY metric_id ORDER BY metric_id`,
        [`node-${index}`],
      );
      expect(rows).toEqual(
        SIM_SENSORS.map(({ number }) => ({ metric_id: `sensor_${number}`, n: polls, times: polls })),
      );
      expect(polls).toBeGreaterThanOrEqual(SECONDS - 5);
    }
    expect(byId.get('wrong').last_error).toMatch(/password/);
    expect(byId.get('nobody').last_error).toMatch(/user/);
    expect(byId.get('dead').last_error).toMatch(/nothing listens there|no answer/);
    const stray = await db.client.query(
      "SELECT 1 FROM kw.metrics WHERE device_id IN ('wrong', 'dead', 'nobody')",
    );
    expect(stray.rows).toEqual([]);
    expect(status.stdout).toMatch(/wrong/);

    const tables = await db.client.query(
      `SELECT (SELECT jsonb_agg(to_jsonb(c)) FROM kw.metric_catalogue c)::text
        || (SELECT jsonb_agg(to_jsonb(s)) FROM kw.device_status s)::text
        || (SELECT jsonb_agg(to_jsonb(s)) FROM kw.collectors s)::text AS all`,
    );
    expect(log).toMatch(/wrong|password/);
    for (const text of [
      log,
      commandLine,
      status.stdout,
      status.stderr,
      tables.rows[0].all,
      ...filesUnder(join(folder, 'data')),
    ]) {
      expect(text).not.toContain(WRONG_PASSWORD);
      expect(text).not.toContain('kwpass');
    }
    // A restart reads no record: they are there.
    expect(readdirSync(join(folder, 'data', 'ipmi'))).toHaveLength(BMCS);
  }, 60_000);

  it('has a clear sentence for each in kw device probe, without the password', async () => {
    const [bmc] = bmcs as [SimBmc];
    const probe = async (url: string) => {
      const result = await runKw(['device', 'probe', url, '--timeout', '2s', '--verbose'], { env });
      expect(result.stdout + result.stderr).not.toContain(WRONG_PASSWORD);
      return result;
    };
    const at = `${bmc.address}:${bmc.port}`;
    const wrong = await probe(`ipmisensor://root:${WRONG_PASSWORD}@${at}/1`);
    expect([wrong.code, wrong.stdout]).toEqual([1, expect.stringMatching(/problem +auth: .*password/)]);
    const good = await probe(`ipmisensor://kwoll:kwpass@${at}/Voltage 12V`);
    expect(good.code).toBe(0);
    expect(good.stdout).toMatch(/^sensor +"Voltage 12V", record 6 \(full\), number 6$/m);
    expect(good.stdout).toMatch(/^formula +\(6 x raw \+ 0 x 10\^0\) x 10\^-2, linear, unsigned$/m);
    expect(good.stdout).toMatch(/^raw +0xc8 \(200\)$/m);
    expect(good.stdout).toMatch(/^value +12$/m);
  }, 30_000);

  it('finds all of a BMC, as a file that is good as it is', async () => {
    const [bmc] = bmcs as [SimBmc];
    const url = `ipmisensor://kwoll:kwpass@${bmc.address}:${bmc.port}`;
    const { stdout, code } = await runKw(['device', 'discover', url, '--device-id', 'node-1'], { env });
    expect(code).toBe(0);
    expect(stdout).not.toContain('kwpass');
    expect(stdout.match(/^- name: .*$/gm)).toEqual([
      '- name: bmc_node_power_watt # 240 watt',
      '- name: bmc_ambient_temp_celsius # 23 celsius',
      '- name: bmc_cpu_temp_celsius # 48 celsius',
      '- name: bmc_cpu_temp_celsius # 51 celsius',
      '- name: bmc_fan_speed_rpm # 5400 rpm',
      '- name: bmc_fan_speed_rpm # 5520 rpm',
      '- name: bmc_voltage_volt # 12 volt',
      '- name: bmc_psu_current_ampere # 1.04 ampere',
    ]);
    write(stdout);
    const check = await runKw(['config', 'check'], { env });
    expect([check.code, check.stdout]).toEqual([0, expect.stringContaining('0 errors, 0 warnings')]);
    const dry = await runKw(['collect', '--once', '--dry-run', '--json'], { env });
    expect(dry.stdout.match(/"metric_id"/g)).toHaveLength(8);
  }, 30_000);
});
