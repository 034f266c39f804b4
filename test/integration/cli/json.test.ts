/** Every command with --json follows one rule, docs/json.md: one object on stdout, whatever happens. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packageRoot } from '../../../src/lib/packageRoot.ts';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { runKw } from '../../support/runKw.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

/** Words on the command line, and the keys of what comes. */
const COMMANDS: Record<string, { args?: string[]; keys: string[]; code?: number }> = {
  'db migrate': { keys: ['applied', 'flavour', 'from', 'mended', 'sql', 'to'] },
  push: { args: ['m', '1', '--device', 'n'], keys: ['refusals', 'refused', 'removed_labels', 'stored'] },
  'job start': {
    args: ['--job', '7', '--nodes', 'n', '--timeout', '30s'],
    keys: ['enabled', 'job', 'new_nodes', 'not_enabled'],
  },
  enable: {
    args: ['some_metric', '--job', '7', '--timeout', '30s'],
    keys: ['always_read', 'changed', 'devices', 'devices_without', 'expires_at', 'job', 'metrics', 'pattern'],
  },
  enabled: { keys: ['enabled'] },
  'job list': { keys: ['jobs'] },
  'job show': {
    args: ['--job', '7', '--values'],
    keys: [
      ...[
        'comment',
        'enabled',
        'gaps',
        'job_id',
        'name_id',
        'nodes',
        'owner',
        'problem',
        'source',
        'started',
        'state',
      ],
      ...['stopped', 'values'],
    ],
  },
  disable: { args: ['--job', '7', '--timeout', '30s'], keys: ['devices', 'disabled', 'patterns'] },
  'job stop': { args: ['--job', '7', '--timeout', '30s'], keys: ['ended_nodes', 'job'] },
  metrics: { keys: ['metrics'] },
  status: { keys: ['at', 'collectors', 'devices', 'gaps', 'source', 'sources'] },
  delete: { args: ['m'], keys: ['deleted', 'values'] },
  'config check': {
    keys: ['collection', 'errors', 'metrics_dir', 'problems', 'settings_file', 'warnings'],
    code: 1,
  },
  'device discover': {
    args: ['snmp://public@127.0.0.1:1', '--timeout', '1s'],
    keys: ['about', 'device_id', 'findings', 'problems', 'profiles', 'url'],
    code: 1,
  },
  'device probe': {
    args: ['prometheus://127.0.0.1:1/', '--timeout', '1s'],
    keys: ['device_id', 'duration_ms', 'facts', 'problems', 'samples', 'timestamp', 'up', 'url'],
    code: 1,
  },
  'spool status': { keys: ['spools'] },
  'spool verify': { keys: ['spools', 'whole'] },
  'spool drain': { keys: ['running', 'spools'] },
  'grafana export': { args: ['grafana'], keys: ['database_known', 'datasource', 'files', 'next'] },
  'db status': { keys: ['label', 'running', 'status'] },
  // The server of the tests flushes nothing to disk, which is an error there.
  'db doctor': { keys: ['findings'], code: 1 },
  'db retention': { keys: ['raw_ms', 'summary_ms'] },
  'db maintain': { keys: ['busy', 'flavour', 'partitions_made', 'parts_dropped'] },
  'db move': { args: ['--to', 'postgres://u@127.0.0.1:1/d?sslmode=disable'], keys: ['error'], code: 1 },
  'db start': { keys: ['adopted', 'label', 'migrations', 'pid', 'running'] },
  'job source add': { args: ['site', '--view', 'public.nothing'], keys: ['error'], code: 1 },
  'job source list': { keys: ['sources'] },
  'job source remove': { args: ['nobody'], keys: ['error'], code: 1 },
  'job sync': { args: ['--slurm', '--source', 'No Name'], keys: ['error'], code: 1 },
  'db rights': { keys: ['anonymous_read', 'api_login', 'problems', 'read_scope', 'site'] },
  'token create': {
    args: ['--user', 'alice'],
    keys: ['expires_at', 'id', 'key', 'new_key', 'role', 'token', 'user'],
  },
  'token list': { keys: ['tokens'] },
  'token revoke': { args: ['--user', 'alice'], keys: ['revoked'] },
  'token key list': { keys: ['file', 'keys'] },
  'token key rotate': { keys: ['algorithm', 'file', 'key'] },
  'token key remove': { args: ['nobody'], keys: ['error'], code: 1 },
  'db stop': { keys: ['stopped'] },
};

let db: TestDatabase;
const { folder, remove } = temporaryFolder();
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(async () => {
  await run('db stop');
  await db.drop();
  remove();
});

const run = (command: string, args: readonly string[] = []) =>
  runKw([...command.split(' '), ...args, '--json'], {
    cwd: folder,
    env: { KW_DATABASE_URL: db.url, KW_DATA_DIR: folder, HOME: folder },
  });

/** Keys that are not in snake_case, except below labels, and those that only some entries of a list have. */
function wrongKeys(value: unknown): string[] {
  if (Array.isArray(value)) return [...value.flatMap(wrongKeys), ...keysOfSome(value)];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [
    ...(/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(key) ? [] : [key]),
    ...(key === 'labels' ? [] : wrongKeys(inner)),
  ]);
}

function keysOfSome(list: readonly unknown[]): string[] {
  const keys = list.map((entry) => (typeof entry === 'object' ? Object.keys(Object(entry)) : []));
  return [...new Set(keys.flat())].filter((key) => !keys.every((own) => own.includes(key)));
}

function commandsWithJson(below = join(packageRoot(), 'src', 'commands'), words = ''): string[] {
  return readdirSync(below, { withFileTypes: true }).flatMap((entry) => {
    const path = join(below, entry.name);
    if (entry.isDirectory()) return commandsWithJson(path, `${words}${entry.name} `);
    const has = readFileSync(path, 'utf8').includes('enableJsonFlag = true');
    return has ? [words + entry.name.replace(/\.ts$/, '')] : [];
  });
}

describe('--json', () => {
  test('is tried with every command that has it', () => {
    expect(Object.keys(COMMANDS).sort()).toEqual(commandsWithJson().sort());
  });

  test.each(Object.entries(COMMANDS))(
    'of kw %s is one object, with keys in snake_case',
    async (command, wanted) => {
      const { stdout, code } = await run(command, wanted.args);
      const printed: unknown = JSON.parse(stdout);
      expect({ keys: Object.keys(printed as object).sort(), code }).toEqual({
        keys: wanted.keys,
        code: wanted.code ?? 0,
      });
      expect(Array.isArray(printed)).toBe(false);
      expect(wrongKeys(printed)).toEqual([]);
    },
  );

  test('of a mistake in the flags is an error object too, with its exit code', async () => {
    const { stdout, code } = await run('job show', ['--jop', '7']);
    expect({ ...JSON.parse(stdout), code }).toMatchObject({ error: { code: 'USAGE' }, code: 2 });
  });
});
