import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatProblem } from '../../../src/lib/config/place.ts';
import { loadSettings, readSettings } from '../../../src/lib/config/settings.ts';
import { KwError } from '../../../src/lib/errors.ts';
import { inFolder, settingsOf } from './support.ts';

/** Settings and problems that one kw.yaml in the working folder gives; the folder is called DIR. */
function read(yaml: string, env: NodeJS.ProcessEnv = {}, mode = 0o600) {
  return inFolder({ 'kw.yaml': yaml, 'secret/pw': 'a/b c\n' }, (folder) => {
    chmodSync(join(folder, 'kw.yaml'), mode);
    const { settings, problems, references } = settingsOf(folder, env);
    // Read while the folder is there: they are resolved when they are asked for.
    const { databaseUrl, token } = settings;
    const server = { ...settings.server };
    const lines = problems.map((problem) => formatProblem(problem).replaceAll(folder, 'DIR'));
    return { settings: { ...settings, databaseUrl, token, server }, problems: lines, references, folder };
  });
}

describe('settings', () => {
  it('have defaults without any file', () => {
    inFolder({}, (folder) => {
      const { settings, problems } = settingsOf(folder);
      expect(problems).toEqual([]);
      expect(settings).toEqual({
        file: undefined,
        databaseUrl: undefined,
        databaseFiles: [],
        databaseNamedBy: undefined,
        url: undefined,
        token: undefined,
        tokenFiles: [],
        caFile: undefined,
        metricsDir: join(folder, 'etc', 'metrics.d'),
        timeZone: undefined,
        dataFolder: expect.stringMatching(/\/kw$/),
        logLevel: 'info',
        listen: { host: '127.0.0.1', port: 9842 },
        credentials: {},
        collector: {
          name: undefined,
          bufferBytes: 128e6,
          flushIntervalMs: 1000,
          batchRows: 10_000,
          phaseGridMs: 50,
          nice: -5,
          shards: 'auto',
        },
        pushSpool: {},
        limits: { maxPastUs: 315_576_000_000_000, maxFutureUs: 3_600_000_000, labelSetsPerDay: 10_000 },
        spool: {
          enabled: true,
          folder: undefined,
          maxBytes: undefined,
          maxAgeMs: 2_592_000_000,
          drainShare: 0.5,
        },
        jobs: { runningMaxAgeMs: 2_592_000_000 },
        server: {
          listen: { host: '127.0.0.1', port: 9843 },
          connections: 20,
          bigReads: 12,
          statementTimeoutMs: 300_000,
          keysFile: expect.stringMatching(/\/kw\/keys\.json$/),
          jwtSecret: undefined,
          proxy: undefined,
          tls: undefined,
          limits: { userRequests: 6_000, anonymousRequests: 1_200, atOnce: 64, bodyBytes: 16e6 },
        },
      });
    });
  });

  it('take every key of kw.yaml', () => {
    const { settings, problems, folder } = read(
      `
database_url: postgres://kw:\${file:secret/pw}@db/kw
url: https://kw.example.org
token: \${env:MY_TOKEN}
ca_file: ca.pem
metrics_dir: ../metrics
time_zone: Europe/Paris
data_dir: data
log_level: WARNING
listen: "[::1]:9000"
credentials:
  bmc: {user: root, password: "\${env:BMC}"}
collector: {name: east, buffer: 64MB, flush_interval: 500ms, batch_rows: 500, phase_grid: 5ms, nice: 3, shards: [pdu-1, "pdu-[2-9]"]}
spool: {enabled: false, folder: var/spool, max_bytes: 2GiB, max_age: 7d, drain_share: 0.25}
push_spool: {max_bytes: 2GiB}
limits: {max_past: 2y, max_future: 10m, label_sets_per_day: 7}
jobs: {running_max_age: 60d}
server:
  listen: "[::]:80"
  connections: 9
  big_reads: 3
  statement_timeout: 1m
  keys: keys/api.json
  jwt_secret: \${file:secret/pw}
  proxy: {addresses: "127.0.0.1, 2001:db8::/64", user_header: X-Remote-User, role: reader}
  tls: {certificate: tls/cert.pem, key: /etc/ssl/key.pem}
  limits: {user_requests: 100, anonymous_requests: 10, at_once: 5, body: 1MB}
`,
      { MY_TOKEN: 'tok' },
    );
    expect(problems).toEqual([]);
    expect(settings).toEqual({
      file: join(folder, 'kw.yaml'),
      databaseUrl: 'postgres://kw:a%2Fb%20c@db/kw',
      databaseFiles: [join(folder, 'secret/pw')],
      databaseNamedBy: `database_url in ${join(folder, 'kw.yaml')}`,
      token: 'tok',
      tokenFiles: [],
      caFile: join(folder, 'ca.pem'),
      metricsDir: join(folder, '../metrics'),
      timeZone: 'Europe/Paris',
      dataFolder: join(folder, 'data'),
      logLevel: 'warn',
      listen: { host: '::1', port: 9000 },
      credentials: { bmc: { user: 'root', password: `\${env:BMC}` } },
      collector: {
        name: 'east',
        bufferBytes: 64e6,
        flushIntervalMs: 500,
        batchRows: 500,
        phaseGridMs: 5,
        nice: 3,
        shards: ['pdu-1', 'pdu-[2-9]'],
      },
      spool: {
        enabled: false,
        folder: join(folder, 'var/spool'),
        maxBytes: 2 ** 31,
        maxAgeMs: 604_800_000,
        drainShare: 0.25,
      },
      pushSpool: { maxBytes: 2 ** 31 },
      limits: { maxPastUs: 63_115_200_000_000, maxFutureUs: 600_000_000, labelSetsPerDay: 7 },
      jobs: { runningMaxAgeMs: 5_184_000_000 },
      server: {
        listen: { host: '::', port: 80 },
        connections: 9,
        bigReads: 3,
        statementTimeoutMs: 60_000,
        keysFile: join(folder, 'keys/api.json'),
        jwtSecret: 'a/b c',
        proxy: {
          addresses: ['127.0.0.1', '2001:db8::/64'],
          userHeader: 'x-remote-user',
          role: 'kw_reader',
        },
        tls: { certificateFile: join(folder, 'tls/cert.pem'), keyFile: '/etc/ssl/key.pem' },
        limits: { userRequests: 100, anonymousRequests: 10, atOnce: 5, bodyBytes: 1e6 },
      },
    });
  });

  it('prefer flag, then environment, then kw.yaml', () => {
    inFolder({ 'kw.yaml': 'database_url: postgres://file/kw\nurl: http://file\n' }, (folder) => {
      const around = { cwd: folder, systemFolder: folder, uid: process.getuid?.() };
      const env = { HOME: folder, KW_DATABASE_URL: 'postgres://env/kw', KW_TOKEN: 't', KW_DATA_DIR: '/data' };
      const url = (flags: object, variables: NodeJS.ProcessEnv) => {
        const { settings } = readSettings(flags, { ...around, env: variables });
        return [settings.databaseUrl, settings.databaseNamedBy];
      };
      expect(url({ database: 'postgres://flag/kw' }, env)).toEqual(['postgres://flag/kw', '--database']);
      expect(url({}, env)).toEqual(['postgres://env/kw', 'KW_DATABASE_URL']);
      const inFile = `database_url in ${join(folder, 'kw.yaml')}`;
      expect(url({}, { HOME: folder })).toEqual(['postgres://file/kw', inFile]);
      expect(readSettings({}, { ...around, env }).settings).toMatchObject({
        token: 't',
        dataFolder: '/data',
      });
    });
  });

  it('mean the server that is named more strongly than any database, and else the database', () => {
    const yaml = 'url: http://file\ndatabase_url: postgres://file/kw\n';
    const meant = (env: NodeJS.ProcessEnv, text = yaml) => {
      const { url, urlNamedBy } = read(text, env).settings;
      return [url, urlNamedBy?.replace(/ in .*/, '')];
    };
    expect(meant({})).toEqual([undefined, undefined]);
    expect(meant({ KW_URL: 'http://env' })).toEqual(['http://env', 'KW_URL']);
    expect(meant({ KW_URL: 'http://env', KW_DATABASE_URL: 'postgres://env/kw' })).toEqual([
      undefined,
      undefined,
    ]);
    expect(meant({}, 'url: http://file\n')).toEqual(['http://file', 'url']);
    inFolder({}, (folder) => {
      const env = { HOME: folder, KW_URL: 'http://env', KW_DATABASE_URL: 'postgres://env/kw' };
      const around = { cwd: folder, systemFolder: folder, uid: process.getuid?.(), env };
      const byFlag = (flags: object) => readSettings(flags, around).settings;
      expect(byFlag({ url: 'http://flag' })).toMatchObject({ url: 'http://flag', urlNamedBy: '--url' });
      expect(byFlag({ database: 'postgres://flag/kw' }).url).toBeUndefined();
    });
  });

  it('leave the url of kw.yaml out when flag or environment name a database', () => {
    const yaml = 'url: http://server\n';
    expect(read(yaml).settings.url).toBe('http://server');
    expect(read(yaml, { KW_DATABASE_URL: 'postgres://db/kw' }).settings.url).toBeUndefined();
    expect(read(yaml, { KW_URL: 'http://env' }).settings.url).toBe('http://env');
  });

  it('do not need a secret that another source makes needless', () => {
    const yaml = `database_url: \${file:nowhere}\n`;
    expect(read(yaml, { KW_DATABASE_URL: 'postgres://db/kw' }).settings.databaseUrl).toBe('postgres://db/kw');
    expect(() => read(yaml)).toThrow(/^cannot read the secret in ".*\/nowhere": there is no such file$/);
  });

  it('come from the first file that exists of the three places', () => {
    const files = {
      'kw.yaml': 'log_level: error\n',
      'home/.config/kw/kw.yaml': 'log_level: warn\n',
      'xdg/kw/kw.yaml': 'log_level: trace\n',
      'etc/kw.yaml': 'log_level: debug\n',
    };
    inFolder(files, (folder) => {
      const around = (cwd: string, env: NodeJS.ProcessEnv) => ({
        cwd: join(folder, cwd),
        env,
        systemFolder: join(folder, 'etc'),
        uid: process.getuid?.(),
      });
      const level = (cwd: string, env: NodeJS.ProcessEnv) =>
        readSettings({}, around(cwd, env)).settings.logLevel;
      const HOME = join(folder, 'home');
      expect(level('.', { HOME })).toBe('error');
      expect(level('home', { HOME })).toBe('warn');
      expect(level('home', { HOME, XDG_CONFIG_HOME: join(folder, 'xdg') })).toBe('trace');
      expect(level('home', { HOME: join(folder, 'nobody') })).toBe('debug');
      expect(level('home', { HOME, KW_CONFIG: '../kw.yaml' })).toBe('error');
    });
  });
});

describe('a mistake in kw.yaml', () => {
  it.each([
    [
      'server: {jwt_secret: abc}',
      '1:22: error: jwt_secret stands in kw.yaml itself (keep it in a file of its own: ${file:/etc/kwollect/jwt_secret})',
    ],
    [
      'server: {proxy: {addresses: 0.0.0.0/0, user_header: x-user}}',
      '1:29: error: "0.0.0.0/0" is no address (write 127.0.0.1, 192.0.2.0/24 or 2001:db8::/64; names of hosts are not looked up)',
    ],
    [
      'server: {proxy: {addresses: [10.0.0.1, proxy.local], user_header: x-user}}',
      '1:29: error: "proxy.local" is no address (write 127.0.0.1, 192.0.2.0/24 or 2001:db8::/64; names of hosts are not looked up)',
    ],
    [
      'server: {proxy: {addresses: 10.0.0.1, user_header: Authorization}}',
      '1:52: error: user_header is no name of a header of its own (write x-remote-user)',
    ],
    [
      'server: {proxy: {addresses: 10.0.0.1, user_header: x-user, role: admin}}',
      '1:66: error: role is neither reader nor writer (other roles need a token)',
    ],
    [
      'server: {tls: {key: k.pem}}',
      '1:15: error: tls needs certificate and key (write the paths of two PEM files)',
    ],
    ['listn: off', '1:1: error: unknown key "listn" (did you mean "listen"?)'],
    [
      'db_host: localhost',
      '1:1: error: unknown key "db_host" (write database_url: postgres://USER:PASSWORD@HOST/NAME)',
    ],
    ['worker: 8', '1:1: error: unknown key "worker" (remove it: one process serves all devices)'],
    [
      'database_url: localhost/kw',
      '1:15: error: database_url is no PostgreSQL URL (write postgres://USER:PASSWORD@HOST:PORT/NAME)',
    ],
    [
      'url: kw.example.org',
      '1:6: error: url is no HTTP address (write https://HOST:PORT of a kw serve; a database goes in database_url)',
    ],
    [
      'time_zone: Paris',
      '1:12: error: time_zone is no time zone that this machine knows (write a name such as Europe/Paris or UTC)',
    ],
    [
      'log_level: loud',
      '1:12: error: log_level is none that kw knows (write one of fatal, error, warn, info, debug, trace)',
    ],
    ['listen: here', '1:9: error: listen must be an address and a port (write 127.0.0.1:9842, or off)'],
    [
      'listen: 0.0.0.0:9842',
      '1:9: warning: everyone who reaches this address can read the status of the collector',
    ],
    [
      'collector: {buffer: 64}',
      '1:21: error: buffer must be a size, and this is "64" (write 64MB, 256MB or 1GB)',
    ],
    ['collector: {buffer: 1kB}', '1:21: error: buffer must be from 1MB to 64000MB, and this is "1kB"'],
    [
      'spool: {drain_share: 0}',
      '1:22: error: drain_share must be a number from 0.01 to 1 (write 0.5 for half of the time)',
    ],
    ['spool: {max_bytes: 1kB}', '1:20: error: max_bytes must be from 1MB to 1000000000MB, and this is "1kB"'],
    [
      'spool: {size: 1GB}',
      '1:9: error: unknown key "size" (known keys: enabled, folder, max_bytes, max_age, drain_share)',
    ],
    [
      'collector: {flush_interval: 1}',
      '1:29: error: flush_interval must be a duration, and this is "1" (write 500ms, 2s, 15m, 1h, 30d or 10y)',
    ],
    ['limits: {max_future: 2y}', '1:22: error: max_future must be from 0ms to 1y, and this is "2y"'],
    [
      'collector: {batch_rows: 1.5}',
      '1:25: error: batch_rows must be a whole number from 1 to 1000000, and this is "1.5"',
    ],
    [
      'collector: {batch: 1}',
      '1:13: error: unknown key "batch" (known keys: name, buffer, flush_interval, batch_rows, phase_grid, nice, shards)',
    ],
    ...['{x: 1}', 'some', '[]', '[1]', '[a, ""]'].map((wrong): [string, string] => [
      `collector: {shards: ${wrong}}`,
      '1:21: error: shards must be auto, off, or a list of devices (write "shards: [pdu-1, pdu-2]", or names in brackets such as pdu-[1-20])',
    ]),
    [
      'credentials: {bmc: root}',
      '1:20: error: bmc must be a map, and this is "root" (write "bmc:" and its keys below, indented)',
    ],
    ['- a', '1:1: error: kw.yaml must be a map of settings (write "database_url: ...")'],
    [
      'a: 1\n---\nb: 2',
      '1:1: error: unknown key "a" (known keys: database_url, url, token, ca_file, metrics_dir, time_zone, data_dir, log_level, listen, credentials, collector, spool, push_spool, limits, jobs, server)',
    ],
  ])('%j is told with its place', (yaml, expected) => {
    expect(read(yaml).problems[0]).toBe(`DIR/kw.yaml:${expected}`);
  });

  it('ends a command with all of them', () => {
    inFolder({ 'kw.yaml': 'listn: off\njobs: 3\n' }, (folder) => {
      const config = join(folder, 'kw.yaml');
      expect(() => loadSettings({ config })).toThrow(
        new KwError(
          `${config}:1:1: error: unknown key "listn" (did you mean "listen"?)\n` +
            `${config}:2:7: error: jobs must be a map, and this is "3" (write "jobs:" and its keys below, indented)`,
          { code: 'CONFIG_INVALID', hint: 'mend kw.yaml, or name another file with --config' },
        ),
      );
    });
  });

  it('is a file that is named and not there', () => {
    expect(() => loadSettings({ config: '/nowhere/kw.yaml' })).toThrow(
      'cannot read /nowhere/kw.yaml: there is no such file',
    );
  });
});

describe('secrets in kw.yaml', () => {
  it.each([
    ['database_url: postgres://kw:secret@db/kw', 'database_url'],
    ['token: abc', 'token'],
    ['credentials: {bmc: {user: root, password: calvin}}', 'credentials'],
  ])('%j in a file that all can read is warned of', (yaml, key) => {
    expect(read(yaml, {}, 0o644).problems).toEqual([
      `DIR/kw.yaml:1:1: warning: ${key} holds a secret, and every user of this machine can read this file (chmod o-r DIR/kw.yaml, or keep the secret elsewhere: \${file:PATH})`,
    ]);
    expect(read(yaml, {}, 0o640).problems).toEqual([]);
  });

  it.each([
    `database_url: postgres://kw:\${file:secret/pw}@db/kw`,
    'database_url: postgres://db/kw',
    `token: \${env:HOME}`,
    `credentials: {bmc: {user: root, password: "\${env:X}"}}`,
  ])('%j holds none', (yaml) => {
    expect(read(yaml, {}, 0o644).problems).toEqual([]);
  });

  it('stand for what they stand for, each at its place', () => {
    const { references } = read(
      `token: x\ncredentials:\n  a: {key: "\${env:A}"}\n  b: *nothing`.replace('*nothing', '{}'),
    );
    expect(references).toMatchObject([{ text: `\${env:A}`, place: { line: 3, column: 12 } }]);
  });
});

describe('a kw.yaml that somebody else may have written', () => {
  const around = (folder: string, uid: number | undefined) => ({
    cwd: folder,
    env: { HOME: folder },
    systemFolder: folder,
    uid,
  });
  const me = process.getuid?.() ?? 0;
  const asRoot = it.runIf(me === 0);

  it('is refused when all can write it, wherever it stands', () => {
    inFolder({ 'kw.yaml': '' }, (folder) => {
      const path = join(folder, 'kw.yaml');
      chmodSync(path, 0o666);
      const message = `${path} can be changed by every user of this machine, so kw does not read it`;
      expect(() => readSettings({}, around(folder, me))).toThrow(message);
      expect(() => readSettings({ config: path }, around(folder, me))).toThrow(message);
    });
  });

  asRoot('is refused in the working folder, and read when it is named', async () => {
    const { chownSync, lchownSync } = await import('node:fs');
    inFolder({ 'kw.yaml': 'log_level: trace\n', 'mine/real.yaml': 'log_level: trace\n' }, (folder) => {
      const path = join(folder, 'kw.yaml');
      chownSync(path, 12_345, 12_345);
      expect(() => readSettings({}, around(folder, 0))).toThrow(
        `${path} belongs to another user (uid 12345), so kw does not read it`,
      );
      expect(readSettings({ config: path }, around(folder, 0)).settings.logLevel).toBe('trace');
      expect(readSettings({}, around(folder, 12_345)).settings.logLevel).toBe('trace');
      // Another user's link to a file of one's own.
      mkdirSync(join(folder, 'shared'));
      symlinkSync(join(folder, 'mine/real.yaml'), join(folder, 'shared/kw.yaml'));
      expect(readSettings({}, around(join(folder, 'shared'), 0)).settings.logLevel).toBe('trace');
      lchownSync(join(folder, 'shared/kw.yaml'), 12_345, 12_345);
      expect(() => readSettings({}, around(join(folder, 'shared'), 0))).toThrow(/belongs to another user/);
    });
  });

  it('cannot hold the command as a folder or with a device for a secret', () => {
    inFolder({}, (folder) => {
      mkdirSync(join(folder, 'kw.yaml'));
      expect(() => readSettings({}, around(folder, me))).toThrow(
        `cannot read ${join(folder, 'kw.yaml')}: it is a folder`,
      );
    });
    inFolder({}, (folder) => {
      writeFileSync(join(folder, 'kw.yaml'), `token: \${file:/dev/zero}\n`, { mode: 0o600 });
      expect(() => readSettings({}, around(folder, me)).settings.token).toThrow(
        'cannot read the secret in "/dev/zero": it is not a regular file',
      );
    });
  });
});
