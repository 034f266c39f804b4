/** URLs of schedulers' databases as options of postgres_fdw, and maps of node names. */
import { describe, expect, it } from 'vitest';
import { checkSourceName, readOrigin } from '../../../src/lib/jobs/sources/addSource.ts';
import { type SourceReport, sourceProblem } from '../../../src/lib/jobs/sources/listSources.ts';
import { parseNodeMap } from '../../../src/lib/jobs/sources/nodeMap.ts';
import { parseSourceUrl } from '../../../src/lib/jobs/sources/sourceUrl.ts';

describe('the URL of a source', () => {
  it('becomes options of the server; the password is none of them', () => {
    const { server, user, password, label } = parseSourceUrl(
      'postgres://oar%40ro:s%3Acret%27@oar.example:5433/oar2?sslmode=verify-full&sslrootcert=/etc/ca.pem',
      'other',
    );
    expect({ user, password, label }).toEqual({
      user: 'oar@ro',
      password: "s:cret'",
      label: 'oar@ro@oar.example:5433/oar2',
    });
    expect(server).toMatchObject({
      host: 'oar.example',
      port: '5433',
      dbname: 'oar2',
      sslmode: 'verify-full',
      sslrootcert: '/etc/ca.pem',
    });
    expect(JSON.stringify(server)).not.toContain('cret');
  });

  it('bounds every wait, keeps no connection, and writes nothing', () => {
    const { server, password } = parseSourceUrl('postgres://u@h/d', 'from the environment');
    expect(password).toBe('from the environment');
    expect(server).toMatchObject({
      port: '5432',
      connect_timeout: '2',
      tcp_user_timeout: '5000',
      keepalives_idle: '5',
      keep_connections: 'off',
      updatable: 'false',
    });
    expect(server.options).toContain('statement_timeout=4000');
    expect(server.options).toContain('default_transaction_read_only=on');
  });

  it.each([
    ['mysql://u@h/d', 'does not begin with postgres://'],
    [
      'postgres://u:secret@h:port/d',
      'cannot be read; write special characters of a password as %40 and the like',
    ],
    ['postgres://u:secret@h', 'names no database'],
    ['postgres://h/d', 'names no user'],
    ['postgres://u:secret@h/d?options=-c%20log_statement%3Dall', 'has the unknown parameter "options"'],
    ['postgres://u:sec%ret@h/d', 'has a % that is no escape; write it as %25'],
  ])('%s is refused without a word of its password', (url, problem) => {
    try {
      parseSourceUrl(url, undefined);
      expect.unreachable();
    } catch (error) {
      expect((error as Error).message).toBe(`the URL of the source ${problem}`);
    }
  });

  it('or a view, not both', () => {
    expect(readOrigin(undefined, 'site.jobs', undefined)).toEqual({ view: 'site.jobs' });
    expect(() => readOrigin(undefined, undefined, undefined)).toThrow('nothing says where the jobs are');
    expect(() => readOrigin('postgres://u@h/d', 'v', undefined)).toThrow('contradict');
  });
});

it.each(['kw', 'api', 'Oar', 'a-b', '', 'pg_x', 'x'.repeat(32), 'o; DROP TABLE kw.jobs'])(
  '%j cannot be the name of a source',
  (name) => {
    expect(() => checkSourceName(name)).toThrow('cannot be the name of a source');
  },
);

describe('a map of nodes', () => {
  it('is lines of a node and a device', () => {
    const text = '# ours\n n1.a.example  node-1 # first\nn2.a.example: node-2\r\n\nn3=node-3\n';
    expect([...parseNodeMap(text, 'f')]).toEqual([
      ['n1.a.example', 'node-1'],
      ['n2.a.example', 'node-2'],
      ['n3', 'node-3'],
    ]);
  });

  it.each([
    ['n1', 'f, line 1: a line is a node and its device'],
    ['a b\na c', 'f, line 2: a is there twice'],
    [`a ${'x'.repeat(300)}`, 'f, line 1: the device name has 300 bytes, and at most 255 can be stored'],
  ])('%j is refused with its line', (text, message) => {
    expect(() => parseNodeMap(text, 'f')).toThrow(message);
  });
});

describe('the state of a source in a sentence', () => {
  const source: SourceReport = {
    name: 'oar',
    kind: 'oar',
    state: 'away',
    running_jobs: 2,
    where: 'u@h:1/d',
    checked_at: '2026-11-22T10:00:00.000000+00:00',
    last_good_at: '2026-11-22T09:00:00.000000+00:00',
    problem: 'connection refused',
    took_ms: 3,
    unwatched: false,
  };
  const atUs = Date.UTC(2026, 10, 22, 10) * 1000;

  it('says what is wrong, and since when', () => {
    expect(sourceProblem(source, atUs)).toBe(
      'the job source oar cannot be reached, last heard of 60 min ago: connection refused',
    );
    // Slurm tells kw itself, and is asked by kw job sync too.
    expect(sourceProblem({ ...source, name: 'slurm', kind: 'slurm' }, atUs)).toBe(
      'the job source slurm cannot be reached, last heard of 60 min ago: connection refused',
    );
  });

  it('says nothing of those that answer, and of those that tell kw themselves', () => {
    expect(sourceProblem({ ...source, state: 'ok' }, atUs)).toBeUndefined();
    expect(sourceProblem({ ...source, state: 'new', kind: 'slurm' }, atUs)).toBeUndefined();
    expect(sourceProblem({ ...source, kind: 'kw' }, atUs)).toBeUndefined();
  });
});
