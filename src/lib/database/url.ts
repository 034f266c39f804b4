/**
 * Database URLs as libpq reads them: `postgres://user:password@host:port/database?sslmode=...`.
 * pg's own parser gives sslmode meanings of its own, hence this one.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import type { ClientConfig } from 'pg';
import { KwError, systemWords } from '../errors.ts';

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
type SslMode = (typeof SSL_MODES)[number];

/** What to give to pg.Client, and in what order to try TLS. */
export interface ParsedUrl {
  readonly config: ClientConfig;
  /** `user@host:port/database`, safe to print. */
  readonly label: string;
  /** With `prefer` a second attempt goes without TLS, with `allow` the other way round. */
  readonly attempts: readonly (ConnectionOptions | false)[];
}

/** libpq's parameters that change nothing here; all others unknown are refused, as libpq does. */
const IGNORED = new Set([
  'channel_binding',
  'gssencmode',
  'keepalives',
  'keepalives_idle',
  'keepalives_interval',
  'keepalives_count',
  'krbsrvname',
  'sslcompression',
  'sslsni',
  'tcp_user_timeout',
  'target_session_attrs',
  'client_encoding',
]);

/**
 * @throws KwError DATABASE_URL for anything that is not such a URL, DATABASE_TLS for a certificate that cannot
 * be read. Messages never hold the URL, since it may hold a password.
 */
export function parseDatabaseUrl(text: string, env: NodeJS.ProcessEnv = process.env): ParsedUrl {
  const url = parse(withHost(text, env));
  const query = new Map(url.searchParams);
  const take = (name: string): string | undefined => {
    const value = query.get(name);
    query.delete(name);
    return value === '' ? undefined : value;
  };

  const host =
    take('host') ?? (decode(url.hostname).replace(/^\[(.*)\]$/, '$1') || env.PGHOST || 'localhost');
  if (host.includes(',')) throw badUrl('names several hosts, and kw connects to one');
  const port = Number(take('port') ?? (url.port || env.PGPORT || 5432));
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw badUrl('has no valid port');
  const user = take('user') ?? (decode(url.username) || env.PGUSER || env.USER || 'postgres');
  const password = take('password') ?? (decode(url.password) || env.PGPASSWORD);
  const database = take('dbname') ?? (decode(url.pathname.replace(/^\//, '')) || env.PGDATABASE || user);
  const applicationName = take('application_name');
  const options = take('options');
  const connectTimeoutS = Number(take('connect_timeout') ?? 0);
  const attempts = tlsAttempts(host, take('sslmode') ?? env.PGSSLMODE, {
    rootCert: take('sslrootcert') ?? env.PGSSLROOTCERT,
    cert: take('sslcert') ?? env.PGSSLCERT,
    key: take('sslkey') ?? env.PGSSLKEY,
    keyPassword: take('sslpassword'),
  });
  for (const name of query.keys()) {
    if (!IGNORED.has(name)) throw badUrl(`has an unknown parameter "${name.slice(0, 40)}"`);
  }

  const config: ClientConfig = { host, port, user, database };
  if (password !== undefined) config.password = password;
  if (applicationName !== undefined) config.application_name = applicationName;
  if (options !== undefined) config.options = options;
  if (connectTimeoutS > 0) config.connectionTimeoutMillis = connectTimeoutS * 1000;
  const place = host.startsWith('/') ? host : host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  return { config, label: `${user}@${place}/${database}`, attempts };
}

/**
 * Files that connecting to this URL may read: certificates, keys, the file of passwords. Those in the home folder need not
 * exist. Nothing is read here, and a URL that cannot be parsed has none.
 */
export function filesOfUrl(text: string, env: NodeJS.ProcessEnv = process.env): string[] {
  const whole = withHost(text, env);
  if (!URL.canParse(whole)) return [];
  const url = new URL(whole);
  const parameter = (name: string, variable: string) => url.searchParams.get(name) || env[variable];
  const host = parameter('host', 'PGHOST') ?? decodeURIComponent(url.hostname);
  const password = url.password || parameter('password', 'PGPASSWORD');
  const passwords = password ? [] : [env.PGPASSFILE || join(env.HOME || './', '.pgpass')];
  if (host.startsWith('/') || parameter('sslmode', 'PGSSLMODE') === 'disable') return passwords;
  const inHome = (name: string) => join(homedir(), '.postgresql', name);
  const rootCert = parameter('sslrootcert', 'PGSSLROOTCERT') ?? inHome(DEFAULT_FILES.rootCert);
  return [
    ...(rootCert === 'system' ? [] : [rootCert]),
    parameter('sslcert', 'PGSSLCERT') ?? inHome(DEFAULT_FILES.cert),
    parameter('sslkey', 'PGSSLKEY') ?? inHome(DEFAULT_FILES.key),
    ...passwords,
  ];
}

/**
 * `postgres://user@/database?host=/run/postgresql`, as libpq reads it, with a host where URLs of the web must have one. The
 * parameter is stronger than it.
 */
export function withHost(text: string, env: NodeJS.ProcessEnv = process.env): string {
  return text.replace(
    /^(postgres(?:ql)?:\/\/[^/?#]*@)(?=[:/?#]|$)/,
    (start) => `${start}${encodeURIComponent(env.PGHOST || 'localhost')}`,
  );
}

function parse(text: string): URL {
  if (!/^postgres(ql)?:\/\//.test(text)) throw badUrl('does not begin with postgres://');
  try {
    return new URL(text);
  } catch {
    throw badUrl('cannot be read; write special characters of a password as %40 and the like');
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw badUrl('has a % that is no escape; write it as %25');
  }
}

function badUrl(problem: string): KwError {
  return new KwError(`the database URL ${problem}`, {
    code: 'DATABASE_URL',
    hint: 'write it as postgres://user:password@host:5432/database?sslmode=verify-full',
  });
}

interface CertificateFiles {
  readonly rootCert: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly keyPassword: string | undefined;
}

/** Where libpq looks for what the URL does not name. */
const DEFAULT_FILES = { rootCert: 'root.crt', cert: 'postgresql.crt', key: 'postgresql.key' } as const;

/** https://www.postgresql.org/docs/current/libpq-ssl.html, table "SSL Mode Descriptions". */
function tlsAttempts(
  host: string,
  mode: string | undefined,
  files: CertificateFiles,
): (ConnectionOptions | false)[] {
  const sslMode = (mode ?? 'prefer') as SslMode;
  if (!SSL_MODES.includes(sslMode)) throw badUrl(`has an unknown sslmode; known are ${SSL_MODES.join(', ')}`);
  // A Unix socket never speaks TLS.
  if (host.startsWith('/') || sslMode === 'disable') return [false];

  const tls: ConnectionOptions = clientCertificate(files);
  const trusted = files.rootCert ?? existingDefault('rootCert');
  // As libpq: a root certificate turns `require` into `verify-ca`.
  const verifies = sslMode.startsWith('verify-') || (sslMode === 'require' && trusted !== undefined);
  if (!verifies) {
    tls.rejectUnauthorized = false;
    if (sslMode === 'prefer') return [tls, false];
    return sslMode === 'allow' ? [false, tls] : [tls];
  }
  if (trusted === undefined) {
    throw new KwError(`sslmode=${sslMode} needs a root certificate, and there is none`, {
      code: 'DATABASE_TLS',
      hint: 'add sslrootcert=/path/root.crt (or sslrootcert=system) to the URL, or make ~/.postgresql/root.crt',
    });
  }
  // `system` are the authorities that Node trusts; libpq allows it with verify-full only.
  if (trusted !== 'system') tls.ca = readPem(trusted, 'sslrootcert');
  else if (sslMode !== 'verify-full') {
    throw new KwError('sslrootcert=system needs sslmode=verify-full', { code: 'DATABASE_TLS' });
  }
  tls.rejectUnauthorized = true;
  // Node would compare with the name of the SNI, which an IP address has not.
  tls.checkServerIdentity =
    sslMode === 'verify-full'
      ? (_name, certificate) => checkServerIdentity(host, certificate)
      : () => undefined;
  return [tls];
}

/** Shown to a server that asks for it; sent to no other. */
function clientCertificate(files: CertificateFiles): ConnectionOptions {
  const cert = files.cert ?? existingDefault('cert');
  if (cert === undefined) return {};
  const key = files.key ?? existingDefault('key');
  if (key === undefined) {
    throw new KwError(`the client certificate ${cert} needs its key, and there is none`, {
      code: 'DATABASE_TLS',
      hint: 'add sslkey=FILE to the database URL, or make ~/.postgresql/postgresql.key',
    });
  }
  const { keyPassword } = files;
  const read = { cert: readPem(cert, 'sslcert'), key: readPem(key, 'sslkey') };
  return keyPassword === undefined ? read : { ...read, passphrase: keyPassword };
}

/** Its path, if there is one in ~/.postgresql. */
function existingDefault(kind: keyof typeof DEFAULT_FILES): string | undefined {
  const path = join(homedir(), '.postgresql', DEFAULT_FILES[kind]);
  return existsSync(path) ? path : undefined;
}

/** OpenSSL takes a file without any certificate for an empty list, and tells of a wrong authority later. */
function readPem(path: string, parameter: string): Buffer {
  const bad = (problem: string, cause?: unknown) =>
    new KwError(`cannot use ${path} as ${parameter}: ${problem}`, { code: 'DATABASE_TLS', cause });
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw bad(systemWords(error as Error), error);
  }
  if (!bytes.includes('-----BEGIN ')) throw bad('it holds no PEM text');
  return bytes;
}
