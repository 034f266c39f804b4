import { describe, expect, test } from 'vitest';
import { reasonIn } from '../../../src/lib/database/embedded/cluster.ts';
import { connectionUrl, newCredentials } from '../../../src/lib/database/embedded/credentials.ts';
import { socketPathFits } from '../../../src/lib/database/embedded/layout.ts';
import { tuning } from '../../../src/lib/database/embedded/tuning.ts';
import { parseDatabaseUrl } from '../../../src/lib/database/url.ts';

const GB = 1024 ** 3;

describe('what PostgreSQL said', () => {
  test('is its last two lines, without times and process numbers', () => {
    const log = `2026-11-22 18:13:56.020 UTC [19373] LOG:  starting
2026-11-22 18:13:56.026 UTC [19373] FATAL:  lock file "postmaster.pid" already exists
2026-11-22 18:13:56.026 UTC [19373] HINT:  Is another postmaster (PID 7) running?
`;
    expect(reasonIn(log)).toBe(
      'FATAL: lock file "postmaster.pid" already exists; HINT: Is another postmaster (PID 7) running?',
    );
  });

  test('may be nothing', () => {
    expect(reasonIn(undefined)).toBe('');
    expect(reasonIn('\n\n')).toBe('');
  });
});

describe('the settings of the embedded server', () => {
  test('take a sixteenth of the memory for buffers, between 32 and 512 MB', () => {
    expect(tuning(true, 0.25 * GB).shared_buffers).toBe('32MB');
    expect(tuning(true, 4 * GB).shared_buffers).toBe('256MB');
    expect(tuning(true, 256 * GB).shared_buffers).toBe('512MB');
  });

  test('are durable unless it is for tests', () => {
    expect(tuning(true)).toMatchObject({ fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' });
    expect(tuning(false)).toMatchObject({ fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' });
  });
});

describe('the way to the embedded server', () => {
  test('is a URL that names the socket, whatever the characters of its folder', () => {
    const credentials = newCredentials();
    const url = connectionUrl(credentials, '/home/é x/50%/run');
    expect(parseDatabaseUrl(url, {}).config).toEqual({
      host: '/home/é x/50%/run',
      port: 5432,
      user: 'postgres',
      password: credentials.password,
      database: 'postgres',
    });
  });

  test('has a new password each time', () => {
    expect(newCredentials().password).toMatch(/^[\w-]{32}$/);
    expect(newCredentials().password).not.toBe(newCredentials().password);
  });

  test('fits a socket address up to 103 bytes', () => {
    const rest = '/.s.PGSQL.5432'.length;
    expect(socketPathFits(`/${'x'.repeat(103 - rest - 1)}`)).toBe(true);
    expect(socketPathFits(`/${'x'.repeat(103 - rest)}`)).toBe(false);
    expect(socketPathFits(`/${'é'.repeat(50)}`)).toBe(false);
  });
});
