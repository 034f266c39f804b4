/** kw grafana export: files that Grafana takes, no secret in them, nothing replaced without a word. */
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { packageRoot } from '../../../src/lib/packageRoot.ts';
import { runKw } from '../../support/kw.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const { folder: root, remove } = temporaryFolder();
afterAll(remove);

const URL = 'postgres://collector:s3cret@db.example.org:5433/metrics';
const FILES = [
  'provisioning/datasources/kw.yaml',
  'provisioning/dashboards/kw.yaml',
  'dashboards/cluster.json',
  'dashboards/collectors.json',
  'dashboards/devices.json',
  'dashboards/job.json',
];

async function exported(args: string[] = [], env: Record<string, string> = {}) {
  const folder = mkdtempSync(join(root, 'out-'));
  const result = await runKw(['grafana', 'export', folder, ...args], { env, cwd: root });
  const text = (name: string) => readFileSync(join(folder, name), 'utf8');
  const source = () => parse(text('provisioning/datasources/kw.yaml')).datasources[0];
  return { folder, ...result, text, source };
}

describe('kw grafana export', () => {
  it('writes the dashboards, and where Grafana finds them and the database', async () => {
    const { folder, code, stdout, stderr, text, source } = await exported(['--database', URL]);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: FILES.map((name) => `${join(folder, name)}\n`).join(''),
    });
    expect(stderr).toBe(
      `make the login kw_grafana as ${folder}/provisioning/datasources/kw.yaml says, put its password into ` +
        `KW_GRAFANA_PASSWORD, and start Grafana with GF_PATHS_PROVISIONING=${folder}/provisioning\n`,
    );
    expect(source()).toEqual({
      name: 'kw',
      type: 'grafana-postgresql-datasource',
      access: 'proxy',
      url: 'db.example.org:5433',
      user: 'kw_grafana',
      jsonData: {
        database: 'metrics',
        sslmode: 'verify-full',
        postgresVersion: 1500,
        timescaledb: true,
        maxOpenConns: 10,
        maxIdleConns: 2,
        connMaxLifetime: 14_400,
      },
      secureJsonData: { password: '$__env{KW_GRAFANA_PASSWORD}' },
    });
    expect(parse(text('provisioning/dashboards/kw.yaml')).providers).toEqual([
      { name: 'kw', folder: 'kw', type: 'file', options: { path: join(folder, 'dashboards') } },
    ]);
    for (const name of readdirSync(join(folder, 'dashboards'))) {
      expect(text(`dashboards/${name}`)).toBe(
        readFileSync(join(packageRoot(), 'grafana', 'dashboards', name), 'utf8'),
      );
    }
    expect(FILES.map(text).join()).not.toMatch(/s3cret|collector:/);
  });

  it('writes what it is told, and nothing that Grafana would take for a variable', async () => {
    const { source } = await exported([
      ...['--database', 'postgres://localhost/a$HOME%22b?sslmode=require', '--datasource', 'kw nancy'],
      ...['--user', 'graph', '--no-timescaledb'],
    ]);
    expect(source()).toMatchObject({
      name: 'kw nancy',
      user: 'graph',
      url: 'localhost:5432',
      jsonData: { database: 'a$$HOME"b', sslmode: 'require', timescaledb: false },
    });
  });

  it.each([
    ['postgres://db/x', 'verify-full'],
    ['postgres://db/x?sslmode=prefer', 'require'],
    ['postgres://127.0.0.1/x', 'disable'],
    ['postgres://localhost/x?host=/run/postgresql', 'disable'],
  ])('has for %s the mode %s, since Grafana knows none that tries', async (url, sslmode) => {
    const { source } = await exported(['--database', url]);
    expect(source().jsonData.sslmode).toBe(sslmode);
  });

  it('says what to fill in when it knows no database', async () => {
    const { code, stderr, folder, source } = await exported();
    expect(code).toBe(0);
    expect(stderr.split('\n')[0]).toBe(
      `no database is set here: write url, database and sslmode into ${folder}/provisioning/datasources/kw.yaml`,
    );
    expect(source().url).toBe('localhost:5432');
  });

  it('replaces nothing, and writes nothing beside what is there, without --force', async () => {
    const { folder } = await exported();
    const mine = join(folder, 'dashboards/job.json');
    writeFileSync(mine, 'mine');
    const other = mkdtempSync(join(root, 'out-'));
    const again = (args: string[] = []) => runKw(['grafana', 'export', folder, ...args], { cwd: root });
    expect(await again()).toEqual({
      code: 1,
      stdout: '',
      stderr: `kw: ${folder}/provisioning/datasources/kw.yaml is there already, and others\n    name another folder, or use --force\n`,
    });
    expect(readFileSync(mine, 'utf8')).toBe('mine');
    expect((await again(['--force'])).code).toBe(0);
    expect(readFileSync(mine, 'utf8')).not.toBe('mine');
    writeFileSync(join(other, 'dashboards'), 'a file');
    const { code, stderr } = await runKw(['grafana', 'export', other], { cwd: root });
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `kw: ${other}/dashboards cannot be made: file already exists\n`,
    });
  });

  it('refuses a data source that the dashboards would not find', async () => {
    const { code, stderr, folder } = await exported(['--datasource', 'nancy']);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr:
        'kw: the data source "nancy" would not be found by the dashboards\n    its name begins with kw, such as "kw nancy"\n',
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  it('prints one object with --json', async () => {
    const { stdout, folder } = await exported(['--json', '--database', URL]);
    expect(JSON.parse(stdout)).toEqual({
      files: FILES.map((name) => join(folder, name)),
      datasource: 'kw',
      database_known: true,
      next: expect.stringContaining('KW_GRAFANA_PASSWORD'),
    });
  });
});
