import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../../src/lib/packageRoot.ts';
import { ORDINARY_ID, type Ran, run, runAsOrdinaryUser } from '../../support/asUser.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

const INSTALL_TIMEOUT_MS = 180_000;
const isRoot = process.getuid?.() === 0;
const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
  version: string;
};

const { folder, remove } = temporaryFolder();
const installed = join(folder, 'node_modules/@kwollect/kw');
const kwFile = join(installed, 'bin/run.js');
const home = join(folder, 'home');
let files: string[];

beforeAll(async () => {
  const npmEnv = { ...process.env };
  const packed = await run(['npm', 'pack', '--json', '--pack-destination', folder], {
    cwd: packageRoot(),
    env: npmEnv,
  });
  const [{ filename, files: listed }] = JSON.parse(packed.stdout.slice(packed.stdout.indexOf('['))) as [
    { filename: string; files: { path: string }[] },
  ];
  files = listed.map(({ path }) => path);
  writeFileSync(join(folder, 'package.json'), '{"private": true}\n');
  // As npm 11 does without being asked: no install scripts.
  const options = ['--omit=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  const ran = await run(['npm', 'install', ...options, join(folder, filename)], {
    cwd: folder,
    env: npmEnv,
  });
  expect(ran).toMatchObject({ code: 0 });
  mkdirSync(home);
  if (isRoot) chownSync(home, ORDINARY_ID, ORDINARY_ID);
}, INSTALL_TIMEOUT_MS);

afterAll(remove);

function kw(...args: string[]): Promise<Ran> {
  return runAsOrdinaryUser(process.execPath, [kwFile, ...args], { cwd: home, env: { HOME: home } });
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

describe('the package that npm pack makes', () => {
  test('holds the program, the SQL and the examples, and neither sources nor tests', () => {
    expect(files).toContain('bin/run.js');
    expect(files).toContain('dist/cli/main.js');
    for (const name of ['index.html', 'page.js', 'page.css', 'icon.svg'])
      expect(files).toContain(`dist/web/${name}`);
    expect(files).toContain('dist/commands/db/start.js');
    expect(files).toContain('oclif.manifest.json');
    expect(files).toContain('sql/migrations/0001_settings.sql');
    expect(files).toContain('LICENSE');
    expect(files.filter((path) => /^(src|test|scripts|bench|coverage)\/|\.map$|\.tsx?$/.test(path))).toEqual(
      [],
    );
  });

  test('says its version, from an empty folder', async () => {
    const ran = await kw('--version');
    expect(ran.stdout).toMatch(new RegExp(`^@kwollect/kw/${version} linux-`));
    expect(ran).toMatchObject({ stderr: '', code: 0 });
  });

  test('explains itself, every topic and every command', async () => {
    const manifest = JSON.parse(readFileSync(join(installed, 'oclif.manifest.json'), 'utf8')) as {
      commands: Record<string, { summary?: string }>;
    };
    const ids = Object.keys(manifest.commands).map((id) => id.replaceAll(':', ' '));
    const topics = ids.filter((id) => id.includes(' ')).map((id) => id.split(' ').slice(0, 1).join(' '));
    expect(ids).toContain('db start');
    for (const what of new Set(['', ...topics, ...ids, 'autocomplete'])) {
      const ran = await kw(...what.split(' ').filter(Boolean), '--help');
      expect(ran, `kw ${what} --help`).toMatchObject({ stderr: '', code: 0 });
      expect(ran.stdout, `kw ${what} --help`).toContain(`$ kw ${what}`.trimEnd());
    }
    expect((await kw('help', 'db', 'start')).stdout).toBe((await kw('db', 'start', '--help')).stdout);
    for (const [id, { summary }] of Object.entries(manifest.commands)) {
      expect(summary, `the summary of ${id}`).toMatch(/^[a-z].*[^.]$/s);
    }
  }, 120_000);

  test('reads SNMP and Prometheus', async () => {
    const page = createServer((_request, response) => response.end('answer 42\n'));
    await new Promise<void>((resolve) => page.listen(0, '127.0.0.1', resolve));
    const agentPort = await freeUdpPort();
    const agent = spawn(process.execPath, [
      join(installed, 'dist/demo/agent.js'),
      String(agentPort),
      'outlet 1',
    ]);
    try {
      await once(agent.stdout, 'data');
      mkdirSync(join(folder, 'metrics.d'));
      writeFileSync(join(folder, 'kw.yaml'), 'metrics_dir: metrics.d\nlisten: off\n');
      const { port } = page.address() as AddressInfo;
      writeFileSync(
        join(folder, 'metrics.d/all.yaml'),
        `- {name: page, device_id: web, url: 'prometheus://127.0.0.1:${port}/'}
- {name: pdu_name, device_id: pdu, url: 'snmp://public@127.0.0.1:${agentPort}/1.3.6.1.2.1.1.5.0'}
`,
      );
      const ran = await kw('collect', '--once', '--dry-run', '--json', '--config', join(folder, 'kw.yaml'));
      const lines = ran.stdout.split('\n').filter(Boolean);
      const samples = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
      expect(
        samples.map(({ device_id, metric_id, value, labels }) => ({ device_id, metric_id, value, labels })),
      ).toEqual(
        expect.arrayContaining([
          { device_id: 'web', metric_id: 'prom_answer', value: 42, labels: {} },
          { device_id: 'pdu', metric_id: 'pdu_name', value: 'NaN', labels: { value_str: 'demo-pdu' } },
        ]),
      );
    } finally {
      agent.kill();
      page.close();
    }
  });

  test('an ordinary user starts a database, asks for its state, and stops it', async () => {
    expect(await kw('db', 'stop')).toMatchObject({ stderr: 'no embedded database was running\n', code: 0 });
    const started = await kw('db', 'start', '--json');
    expect(started.code).toBe(0);
    const { pid } = JSON.parse(started.stdout) as { pid: number };
    try {
      expect(JSON.parse(started.stdout)).toMatchObject({
        running: true,
        adopted: false,
        label: `embedded PostgreSQL in ${home}/.local/share/kw/postgres`,
      });
      // The command that started it has ended, and it runs on.
      expect(() => process.kill(pid, 0)).not.toThrow();
      expect(JSON.parse((await kw('db', 'start', '--json')).stdout)).toMatchObject({ adopted: true, pid });
      expect(statSync(join(home, '.local/share/kw/postgres/data')).uid).toBe(
        isRoot ? ORDINARY_ID : process.getuid?.(),
      );
    } finally {
      expect(await kw('db', 'stop', '--json')).toMatchObject({
        stdout: '{\n  "stopped": true\n}\n',
        code: 0,
      });
    }
  });

  test.runIf(isRoot)('root with a private home gets a database that runs as another user', async () => {
    const privateHome = join(folder, 'root');
    mkdirSync(privateHome, { mode: 0o700 });
    const asRoot = (...args: string[]) =>
      run([process.execPath, kwFile, ...args], { cwd: folder, env: { HOME: privateHome } });
    const hash = createHash('sha256').update(join(privateHome, '.local/share/kw')).digest('hex').slice(0, 12);
    const server = `/var/lib/kw/${hash}`;
    try {
      const started = await asRoot('db', 'start', '--json');
      expect(JSON.parse(started.stdout)).toMatchObject({ label: `embedded PostgreSQL in ${server}` });
      expect(statSync(join(server, 'data')).uid).not.toBe(0);
      expect(await asRoot('db', 'stop')).toMatchObject({
        stderr: 'the embedded database is stopped\n',
        code: 0,
      });
    } finally {
      await asRoot('db', 'stop');
      rmSync(server, { recursive: true, force: true });
      if (existsSync('/var/lib/kw') && readdirSync('/var/lib/kw').length === 0)
        rmSync('/var/lib/kw', { recursive: true });
    }
  });
});
