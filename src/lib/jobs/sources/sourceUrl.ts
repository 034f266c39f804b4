/**
 * The URL of a scheduler's database, as options of postgres_fdw. It is the database server that connects there, not
 * kw: names and files (certificates) are those of its machine.
 */
import { KwError } from '../../errors.ts';

export interface SourceUrl {
  /** Options of the foreign server; no secret among them. */
  readonly server: Readonly<Record<string, string>>;
  readonly user: string;
  readonly password: string | undefined;
  /** `user@host:port/database`, safe to print. */
  readonly label: string;
}

/** Parameters of libpq that a user may give. */
const TAKEN = new Set([
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'sslcrl',
  'sslsni',
  'ssl_min_protocol_version',
  'channel_binding',
  'gssencmode',
  'target_session_attrs',
  'connect_timeout',
]);

/**
 * Bounds, so that a scheduler's database that is away, overloaded or behind a dead line costs seconds and not a
 * session: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS.
 * No connection is kept: one that was, and whose server froze, could hang for ever.
 */
const BOUNDS: Readonly<Record<string, string>> = {
  application_name: 'kw',
  connect_timeout: '2',
  keepalives: '1',
  keepalives_idle: '5',
  keepalives_interval: '2',
  keepalives_count: '2',
  tcp_user_timeout: '5000',
  options:
    '-c statement_timeout=4000 -c lock_timeout=2000 -c idle_in_transaction_session_timeout=60000 -c default_transaction_read_only=on',
  keep_connections: 'off',
  fetch_size: '10000',
  // One question with the join in it beats reading tables here, always: nothing is known here of their sizes. Well
  // below jit_above_cost: compiling a question for one job takes a hundred times as long as the question.
  fdw_startup_cost: '10000',
  updatable: 'false',
};

/**
 * @param password used where the URL has none
 * @throws KwError SOURCE_URL; never with the URL in it, since it may hold a password
 */
export function parseSourceUrl(text: string, password: string | undefined): SourceUrl {
  if (!/^postgres(ql)?:\/\//.test(text)) throw badUrl('does not begin with postgres://');
  if (!URL.canParse(text))
    throw badUrl('cannot be read; write special characters of a password as %40 and the like');
  const url = new URL(text);
  const host = url.searchParams.get('host') ?? decode(url.hostname).replace(/^\[(.*)\]$/, '$1');
  if (host === '') throw badUrl('names no host');
  const port = url.port || '5432';
  const dbname = decode(url.pathname.slice(1));
  if (dbname === '') throw badUrl('names no database');
  const user = decode(url.username);
  if (user === '') throw badUrl('names no user');
  const server: Record<string, string> = { ...BOUNDS, host, port, dbname };
  for (const [name, value] of url.searchParams) {
    if (name === 'host') continue;
    if (!TAKEN.has(name)) throw badUrl(`has the unknown parameter "${name.slice(0, 40)}"`);
    server[name] = value;
  }
  const place = host.startsWith('/') ? host : host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const own = url.password === '' ? password : decode(url.password);
  for (const value of [...Object.values(server), user, own ?? '']) {
    if (value.includes('\0')) throw badUrl('has a NUL character');
  }
  return { server, user, password: own, label: `${user}@${place}/${dbname}` };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw badUrl('has a % that is no escape; write it as %25');
  }
}

function badUrl(problem: string): KwError {
  return new KwError(`the URL of the source ${problem}`, {
    code: 'SOURCE_URL',
    hint: 'write it as postgres://user:password@host:5432/database?sslmode=verify-full, or leave the password to PGPASSWORD',
  });
}
