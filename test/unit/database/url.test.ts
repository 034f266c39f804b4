import { describe, expect, test } from 'vitest';
import { databaseError } from '../../../src/lib/database/errors.ts';
import { filesOfUrl, parseDatabaseUrl } from '../../../src/lib/database/url.ts';

const NO_ENV = { USER: 'me', HOME: '/nonexistent' };
const parse = (url: string, env: NodeJS.ProcessEnv = NO_ENV) => parseDatabaseUrl(url, env);

describe('parseDatabaseUrl', () => {
  test('reads user, password, host, port and database', () => {
    const { config, label } = parse('postgres://kw:p%40ss@db.example.org:5433/site');
    expect(config).toEqual({
      host: 'db.example.org',
      port: 5433,
      user: 'kw',
      password: 'p@ss',
      database: 'site',
    });
    expect(label).toBe('kw@db.example.org:5433/site');
  });

  test('takes what is missing from the environment, as libpq does', () => {
    expect(
      parse('postgresql:///', { PGHOST: 'h', PGPORT: '6000', PGUSER: 'u', PGPASSWORD: 'p' }).config,
    ).toEqual({
      host: 'h',
      port: 6000,
      user: 'u',
      password: 'p',
      database: 'u',
    });
    expect(parse('postgres://h').config).toEqual({ host: 'h', port: 5432, user: 'me', database: 'me' });
  });

  test('knows Unix sockets in both ways of writing, and never speaks TLS on them', () => {
    for (const url of [
      'postgres://u@%2Frun%2Fpg:5432/db',
      'postgres:///db?host=/run/pg&user=u',
      'postgres://u@/db?host=/run/pg',
      'postgres://u:p%40@:5432/db?host=/run/pg',
    ]) {
      const { config, attempts, label } = parse(`${url}`);
      expect([config.host, attempts, label]).toEqual(['/run/pg', [false], 'u@/run/pg/db']);
    }
    expect(parse('postgres://u@/db').config.host).toBe('localhost');
    expect(parse('postgres://u@/db', { PGHOST: '/run/pg' }).label).toBe('u@/run/pg/db');
    expect(filesOfUrl('postgres://u@/db?host=/run/pg', NO_ENV)).toEqual(['/nonexistent/.pgpass']);
  });

  test('knows IPv6', () => {
    const { config, label } = parse('postgres://u@[::1]:5432/db');
    expect([config.host, label]).toEqual(['::1', 'u@[::1]:5432/db']);
  });

  test.each([
    ['disable', [false]],
    ['allow', [false, { rejectUnauthorized: false }]],
    ['prefer', [{ rejectUnauthorized: false }, false]],
    ['require', [{ rejectUnauthorized: false }]],
  ])('sslmode=%s', (mode, attempts) => {
    expect(parse(`postgres://u@h/db?sslmode=${mode}`).attempts).toEqual(attempts);
  });

  test('without sslmode it is prefer, or PGSSLMODE', () => {
    expect(parse('postgres://u@h/db').attempts).toHaveLength(2);
    expect(parse('postgres://u@h/db', { PGSSLMODE: 'disable' }).attempts).toEqual([false]);
  });

  // This file stands for a certificate, which begins with -----BEGIN CERTIFICATE-----
  test('verify-full checks the name, verify-ca only the authority', () => {
    const [full] = parse('postgres://u@h/db?sslmode=verify-full&sslrootcert=system').attempts;
    if (!full) throw new Error('no TLS');
    expect(full.rejectUnauthorized).toBe(true);
    const certificate = { subject: { CN: 'other' }, subjectaltname: 'DNS:other' };
    expect(full.checkServerIdentity?.('ignored', certificate as never)).toBeInstanceOf(Error);
    expect(
      full.checkServerIdentity?.('ignored', { ...certificate, subjectaltname: 'DNS:h' } as never),
    ).toBeUndefined();
    const [ca] = parse(`postgres://u@h/db?sslmode=verify-ca&sslrootcert=${import.meta.filename}`).attempts;
    if (!ca) throw new Error('no TLS');
    expect(ca.checkServerIdentity?.('h', certificate as never)).toBeUndefined();
    expect(ca.rejectUnauthorized).toBe(true);
  });

  test('a root certificate turns require into verify-ca', () => {
    const [tls] = parse(`postgres://u@h/db?sslmode=require&sslrootcert=${import.meta.filename}`).attempts;
    expect(tls).toMatchObject({ rejectUnauthorized: true });
  });

  test.each([
    ['mysql://u:secret@h/db', 'the database URL does not begin with postgres://'],
    ['host=h password=secret', 'the database URL does not begin with postgres://'],
    [
      'postgres://u:sec ret@h:x/db',
      'the database URL cannot be read; write special characters of a password as %40 and the like',
    ],
    ['postgres://u:secret%@h/db', 'the database URL has a % that is no escape; write it as %25'],
    [
      'postgres://u:secret@h/db?sslmode=on',
      'the database URL has an unknown sslmode; known are disable, allow, prefer, require, verify-ca, verify-full',
    ],
    ['postgres://u:secret@h/db?sslmod=require', 'the database URL has an unknown parameter "sslmod"'],
    [
      'postgres://u:secret@h/db?sslmode=verify-full&sslrootcert=/nonexistent',
      'cannot use /nonexistent as sslrootcert: no such file or directory',
    ],
    [
      'postgres://u:secret@h/db?sslmode=verify-ca&sslrootcert=system',
      'sslrootcert=system needs sslmode=verify-full',
    ],
  ])('%s is refused without showing the password', (url, message) => {
    expect(() => parse(url)).toThrow(message);
    expect(message).not.toContain('secret');
  });
});

describe('filesOfUrl', () => {
  const files = (url: string, env: NodeJS.ProcessEnv = { HOME: '/h' }) =>
    filesOfUrl(url, env).map((path) => path.replace(/^.*\/\.postgresql/, '~'));

  test('are the certificates and keys, and the file of passwords where the URL has none', () => {
    expect(files('postgres://u@h/db')).toEqual([
      '~/root.crt',
      '~/postgresql.crt',
      '~/postgresql.key',
      '/h/.pgpass',
    ]);
    expect(files('postgres://u:p@h/db?sslrootcert=/a&sslcert=/b&sslkey=/c')).toEqual(['/a', '/b', '/c']);
    expect(files('postgres://u@h/db?sslmode=disable', { PGPASSFILE: '/p' })).toEqual(['/p']);
    expect(files('postgres:///db?host=/run/pg&password=x')).toEqual([]);
    expect(files('postgres://u:p@%2Frun/db')).toEqual([]);
    expect(files('no URL')).toEqual([]);
  });
});

describe('databaseError', () => {
  const make = (code: string, message = 'said') =>
    databaseError(Object.assign(new Error(message), { code }), { label: 'u@h/db' });

  test.each([
    ['ECONNREFUSED', 'DATABASE_AWAY'],
    ['57P03', 'DATABASE_AWAY'],
    ['53300', 'DATABASE_AWAY'],
    ['28P01', 'DATABASE_AUTH'],
    ['3D000', 'DATABASE_UNKNOWN'],
    ['42501', 'DATABASE_RIGHTS'],
    ['57014', 'DATABASE_TIMEOUT'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'DATABASE_TLS'],
    ['22012', 'DATABASE_ERROR'],
  ])('%s is %s', (code, kind) => {
    expect(make(code)).toMatchObject({ code: kind, cause: { code } });
  });

  test('hints name the place where the user wrote the URL', () => {
    const refused = Object.assign(new Error('said'), { code: 'ECONNREFUSED' });
    const hintOf = (namedBy?: string) => databaseError(refused, { label: 'u@h/db', namedBy }).hint;
    expect(hintOf()).toBe('check that it runs and that KW_DATABASE_URL names it');
    expect(hintOf('--to')).toBe('check that it runs and that --to names it');
  });

  test('what belongs to somebody else is no lack of a role', () => {
    expect(make('42501', 'job 7 belongs to alice').hint).toMatch(/^only its owner/);
    expect(make('42501', 'permission denied for table metrics').hint).toMatch(/^ask an administrator/);
  });

  test('a missing table of kw asks for the migration', () => {
    expect(make('42P01', 'relation "kw.metrics" does not exist')).toMatchObject({
      code: 'SCHEMA_MISSING',
      hint: 'run kw db migrate',
    });
    expect(make('42P01', 'relation "other" does not exist').code).toBe('DATABASE_ERROR');
  });
});
