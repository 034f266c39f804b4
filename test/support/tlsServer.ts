/**
 * A private PostgreSQL that speaks TLS, with an authority and certificates made by openssl: the embedded server's
 * binaries on a TCP port of 127.0.0.1. Its own certificate is for `localhost`, so `127.0.0.1` is a wrong name.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { installBinaries } from '../../src/lib/database/embedded/binaries.ts';
import { SERVER_ENV } from '../../src/lib/database/embedded/cluster.ts';
import { serverUser } from '../../src/lib/database/embedded/serverUser.ts';
import { freePort } from './freePort.ts';
import { temporaryFolder } from './temporaryFolder.ts';

/** Who may log in how: each user of a test is one way. Nobody has a password. */
const PG_HBA = `
hostssl   all by_certificate 127.0.0.1/32 cert
hostssl   all tls_only       127.0.0.1/32 trust
hostnossl all plain_only     127.0.0.1/32 trust
host      all anybody        127.0.0.1/32 trust
local     all all                         trust
`;
const USERS = ['by_certificate', 'tls_only', 'plain_only', 'anybody'];

export interface TlsServer {
  readonly port: number;
  /** Path of a certificate or key: `ca.crt`, `other-ca.crt`, `by_certificate.crt`, ... */
  file(name: string): string;
  /** Presents another certificate from now on: `server`, `expired`; or speaks no TLS. */
  present(certificate: 'server' | 'expired' | 'none'): Promise<void>;
  stop(): Promise<void>;
}

export async function startTlsServer(): Promise<TlsServer> {
  const { folder, remove } = temporaryFolder();
  const file = (name: string) => join(folder, name);
  makeCertificates(folder);
  const user = serverUser();
  const ids = user.isOther ? { uid: user.uid, gid: user.gid } : {};
  const binaries = installBinaries(folder);
  const data = file('data');
  mkdirSync(data, { mode: 0o700 });
  if (user.isOther) chownSync(data, user.uid, user.gid);
  const options = { cwd: '/', env: SERVER_ENV, ...ids };
  execFileSync(
    binaries.initdb,
    ['-D', data, '-U', 'owner', '-A', 'trust', '--no-sync', '--locale', 'C', '--encoding', 'UTF8'],
    options,
  );
  writeFileSync(join(data, 'pg_hba.conf'), PG_HBA);
  for (const name of ['server.key', 'expired.key']) {
    writeFileSync(join(data, name), readFileSync(file(name)), { mode: 0o600 });
    if (user.isOther) chownSync(join(data, name), user.uid, user.gid);
  }
  execFileSync(binaries.postgres, ['--single', '-D', data, 'postgres'], {
    ...options,
    input: USERS.map((name) => `CREATE ROLE ${name} LOGIN;\n`).join(''),
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const port = await freePort();
  const configure = (certificate: 'server' | 'expired' | 'none') => {
    const name = certificate === 'none' ? 'server' : certificate;
    const settings = {
      listen_addresses: '127.0.0.1',
      port,
      unix_socket_directories: '',
      fsync: 'off',
      ssl: certificate === 'none' ? 'off' : 'on',
      ssl_ca_file: file('ca.crt'),
      ssl_cert_file: file(`${name}.crt`),
      ssl_key_file: `${name}.key`,
    };
    const lines = Object.entries(settings).map(([key, value]) => `${key} = '${value}'\n`);
    writeFileSync(join(data, 'postgresql.conf'), lines.join(''));
  };
  configure('server');
  const child = spawn(binaries.postgres, ['-D', data], { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text;
  });
  const said = async (what: string) => {
    for (let waitedMs = 0; !log.includes(what); waitedMs += 20) {
      if (waitedMs > 20_000) throw new Error(`the server with TLS does not say "${what}": ${log}`);
      await sleep(20);
    }
  };
  await said('database system is ready to accept connections');
  return {
    port,
    file,
    async present(certificate) {
      log = '';
      configure(certificate);
      child.kill('SIGHUP');
      await said('reloading configuration files');
      // The postmaster tells it before it loads the certificate.
      await sleep(200);
    },
    async stop() {
      child.kill('SIGINT');
      if (child.exitCode === null) await once(child, 'exit');
      remove();
    },
  };
}

function makeCertificates(folder: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const authority = (name: string) =>
    openssl(
      ...['req', '-x509', ...key, '-keyout', `${name}.key`, '-out', `${name}.crt`],
      ...['-subj', `/CN=${name}`, '-days', '2'],
    );
  const signed = (name: string, commonName: string, by: string, days: number) => {
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${commonName}`);
    writeFileSync(join(folder, 'extensions'), `subjectAltName = DNS:${commonName}\n`);
    openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-out', `${name}.crt`, '-extfile', 'extensions'],
      ...['-CA', `${by}.crt`, '-CAkey', `${by}.key`, '-CAcreateserial', '-days', String(days)],
    );
  };
  authority('ca');
  authority('other-ca');
  signed('server', 'localhost', 'ca', 2);
  signed('expired', 'localhost', 'ca', -1);
  signed('by_certificate', 'by_certificate', 'ca', 2);
  signed('somebody', 'somebody', 'ca', 2);
  signed('forged', 'by_certificate', 'other-ca', 2);
}
