/** The sslmodes of libpq against a real server with TLS, and what is said when there is no connection. */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openClient } from '../../../src/lib/database/connection.ts';
import { parseDatabaseUrl } from '../../../src/lib/database/url.ts';
import { hasProgram, skipUnless } from '../../support/skip.ts';
import { startTlsServer, type TlsServer } from '../../support/tlsServer.ts';

describe.skipIf(skipUnless('openssl', hasProgram('openssl')))('a server with TLS', () => {
  let server: TlsServer;
  beforeAll(async () => {
    server = await startTlsServer();
  });
  afterAll(() => server.stop());

  interface Wanted {
    readonly user?: string;
    readonly host?: string;
    /** Parameters of the URL; a value with a dot is the name of a certificate or key. */
    readonly query?: Record<string, string>;
  }

  function urlOf({ user = 'anybody', host = 'localhost', query = {} }: Wanted): string {
    const url = new URL(`postgres://${user}@${host}:${server.port}/postgres`);
    for (const [name, value] of Object.entries(query)) {
      url.searchParams.set(name, value.includes('.') ? server.file(value) : value);
    }
    return url.href;
  }

  /** `plain`, the version of TLS, or the error as people see it. */
  async function connect(wanted: Wanted): Promise<string> {
    try {
      const url = urlOf(wanted);
      const client = await openClient({ url, label: parseDatabaseUrl(url).label, embedded: false });
      const sql = 'SELECT coalesce(version, $1) AS how FROM pg_stat_ssl WHERE pid = pg_backend_pid()';
      const { rows } = await client.query(sql, ['plain']);
      await client.end();
      return rows[0].how;
    } catch (error) {
      const { message, hint } = error as { message: string; hint?: string };
      const folder = `${server.file('')}/`.replace(/\/+$/, '/');
      return `${message} | ${hint}`.replaceAll(folder, '').replaceAll(String(server.port), 'PORT');
    }
  }

  const NO_TLS = 'no TLS connection to anybody@localhost:PORT/postgres: ';
  const UNKNOWN_CA =
    'no authority that is trusted signed the certificate of the server | ' +
    'name the authority that signed it: sslrootcert=FILE in the database URL';
  const WRONG_NAME =
    "no TLS connection to anybody@127.0.0.1:PORT/postgres: the certificate is another host's " +
    "(IP: 127.0.0.1 is not in the cert's list) | " +
    'write the host as its certificate does, or sslmode=verify-ca if any server of that authority will do';
  const ca = { sslrootcert: 'ca.crt' };
  const otherCa = { sslrootcert: 'other-ca.crt' };

  test.each<[string, Wanted, string]>([
    ['disable', { query: { sslmode: 'disable' } }, 'plain'],
    ['allow, where both will do', { query: { sslmode: 'allow' } }, 'plain'],
    ['allow, where TLS is asked for', { user: 'tls_only', query: { sslmode: 'allow' } }, 'TLSv1.3'],
    ['nothing said, as prefer', {}, 'TLSv1.3'],
    ['prefer', { query: { sslmode: 'prefer' } }, 'TLSv1.3'],
    ['prefer, where TLS is refused', { user: 'plain_only', query: { sslmode: 'prefer' } }, 'plain'],
    ['require, any certificate', { host: '127.0.0.1', query: { sslmode: 'require' } }, 'TLSv1.3'],
    ['require and its authority', { query: { sslmode: 'require', ...ca } }, 'TLSv1.3'],
    ['require and another authority', { query: { sslmode: 'require', ...otherCa } }, NO_TLS + UNKNOWN_CA],
    ['verify-ca, another name', { host: '127.0.0.1', query: { sslmode: 'verify-ca', ...ca } }, 'TLSv1.3'],
    ['verify-ca, another authority', { query: { sslmode: 'verify-ca', ...otherCa } }, NO_TLS + UNKNOWN_CA],
    ['verify-full', { query: { sslmode: 'verify-full', ...ca } }, 'TLSv1.3'],
    [
      'verify-full, another name',
      { host: '127.0.0.1', query: { sslmode: 'verify-full', ...ca } },
      WRONG_NAME,
    ],
    [
      'verify-full, another authority',
      { query: { sslmode: 'verify-full', ...otherCa } },
      NO_TLS + UNKNOWN_CA,
    ],
    [
      'verify-full, the authorities of the system',
      { query: { sslmode: 'verify-full', sslrootcert: 'system' } },
      NO_TLS + UNKNOWN_CA,
    ],
  ])('sslmode %s', async (_, wanted, outcome) => {
    expect(await connect(wanted)).toBe(outcome);
  });

  test('disable, where TLS is asked for: says which mode would do', async () => {
    expect(await connect({ user: 'tls_only', query: { sslmode: 'disable' } })).toBe(
      'the database tls_only@localhost:PORT/postgres refuses the login: no pg_hba.conf entry for host "127.0.0.1", ' +
        'user "tls_only", database "postgres", no encryption | ' +
        'perhaps it takes logins by TLS only: sslmode=require or verify-full',
    );
  });

  describe('that asks for a client certificate', () => {
    const user = 'by_certificate';
    const query = { sslmode: 'verify-full', ...ca };
    const refused = `the database ${user}@localhost:PORT/postgres refuses the login: `;

    test('takes the right one', async () => {
      const own = { sslcert: 'by_certificate.crt', sslkey: 'by_certificate.key' };
      expect(await connect({ user, query: { ...query, ...own } })).toBe('TLSv1.3');
    });

    test('that was not given', async () => {
      expect(await connect({ user, query })).toBe(
        `${refused}connection requires a valid client certificate | ` +
          'it asks for a client certificate: add sslcert=FILE and sslkey=FILE to the database URL',
      );
    });

    test("that is another user's", async () => {
      const other = { sslcert: 'somebody.crt', sslkey: 'somebody.key' };
      expect(await connect({ user, query: { ...query, ...other } })).toBe(
        `${refused}certificate authentication failed for user "${user}" | ` +
          'the name (CN) in the client certificate must be the user of the database URL',
      );
    });

    test('that another authority signed', async () => {
      const forged = { sslcert: 'forged.crt', sslkey: 'forged.key' };
      expect(await connect({ user, query: { ...query, ...forged } })).toBe(
        `no TLS connection to ${user}@localhost:PORT/postgres: the server refuses the client certificate (unknown ca) | ` +
          'sslcert must be signed by the authority in ssl_ca_file of the server',
      );
    });

    test('whose key is missing, is another one, or is no key', async () => {
      writeFileSync(server.file('empty.key'), '');
      const sslcert = 'by_certificate.crt';
      expect(await connect({ user, query: { ...query, sslcert } })).toBe(
        `the client certificate ${sslcert} needs its key, and there is none | ` +
          'add sslkey=FILE to the database URL, or make ~/.postgresql/postgresql.key',
      );
      expect(await connect({ user, query: { ...query, sslcert, sslkey: 'somebody.key' } })).toBe(
        `no TLS connection to ${user}@localhost:PORT/postgres: the client certificate and its key do not belong together | ` +
          'check sslcert and sslkey in the database URL',
      );
      expect(await connect({ user, query: { ...query, sslcert, sslkey: 'empty.key' } })).toBe(
        'cannot use empty.key as sslkey: it holds no PEM text | undefined',
      );
    });
  });

  test('whose certificate has expired', async () => {
    await server.present('expired');
    expect(await connect({ query: { sslmode: 'verify-full', ...ca } })).toBe(
      `${NO_TLS}the certificate of the server has expired | renew it, or check the clock of this machine`,
    );
    expect(await connect({ query: { sslmode: 'require' } })).toBe('TLSv1.3');
  });

  test('that was switched off: prefer goes without, require and verify-full do not', async () => {
    await server.present('none');
    expect(await connect({ query: { sslmode: 'prefer' } })).toBe('plain');
    for (const query of [{ sslmode: 'require' }, { sslmode: 'verify-full', ...ca }]) {
      expect(await connect({ query })).toBe(
        `${NO_TLS}the server does not speak TLS | ` +
          'set ssl = on there, or sslmode=disable in the database URL if the way to it is safe',
      );
    }
  });
});
