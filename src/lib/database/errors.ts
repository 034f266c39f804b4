/**
 * What goes wrong between kw and a database, as sentences that say what to do. The password is in none of them:
 * they are made of the label of a database and of the server's own words.
 */
import pg from 'pg';
import { codeOf, KwError } from '../errors.ts';
import { tlsFailure } from './tlsErrors.ts';

/** What errors tell of a database: never its URL. A DatabaseTarget is one. */
interface Told {
  readonly label: string;
  readonly namedBy?: string | undefined;
  readonly embedded?: boolean;
}

/** Codes of sockets and of PostgreSQL that mean: not there now, may be back soon. */
const AWAY = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENOENT', // the Unix socket
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '57P05', // idle_session_timeout
  '53300', // too_many_connections
  '08000',
  '08001',
  '08003',
  '08004',
  '08006',
]);

/** Whether the database is away, as opposed to unwilling: worth trying again later. */
export function isAway(error: unknown): boolean {
  if (error instanceof KwError) return error.code === 'DATABASE_AWAY';
  const code = codeOf(error);
  if (code !== undefined) return AWAY.has(code);
  return (
    error instanceof Error &&
    /Connection terminated|timeout expired|not queryable|Client was closed|server closed/.test(error.message)
  );
}

/** Errors of the server and of the connection as KwErrors; others are defects of kw and stay as they are. */
export function explainIfDatabase(error: unknown, database: Told): unknown {
  const isDatabase =
    error instanceof pg.DatabaseError ||
    (error instanceof Error && (('code' in error && 'syscall' in error) || isAway(error)));
  return isDatabase ? databaseError(error, database) : error;
}

/** Any error of a connection or statement as a KwError; those that are one already stay as they are. */
export function databaseError(error: unknown, database: Told): KwError {
  if (error instanceof KwError) return error;
  const { label } = database;
  const namedBy = database.namedBy ?? 'KW_DATABASE_URL';
  const code = codeOf(error);
  const said = error instanceof Error ? error.message : String(error);
  const make = (kind: string, message: string, hint?: string) =>
    new KwError(message, { code: kind, hint, cause: error });

  if (isAway(error))
    return make(
      'DATABASE_AWAY',
      `the database ${label} cannot be reached: ${said}`,
      awayHint(code, database),
    );
  switch (code) {
    case '28P01':
    case '28000':
      return make(
        'DATABASE_AUTH',
        `the database ${label} refuses the login: ${said}`,
        loginHint(said) ?? `check user and password in ${namedBy}, and pg_hba.conf on the server`,
      );
    case '3D000':
      return make(
        'DATABASE_UNKNOWN',
        `the server has no such database: ${said}`,
        'make it with createdb, then run kw db migrate',
      );
    case '42501':
      return make(
        'DATABASE_RIGHTS',
        `not allowed on ${label}: ${said}`,
        /belongs to/.test(said)
          ? 'only its owner and the role kw_scheduler may change it; its owner stays as it is'
          : 'ask an administrator for the role that this needs: kw_reader, kw_writer, kw_scheduler, kw_collector or kw_admin',
      );
    case '3F000':
    case '42P01':
    case '42883':
      if (/\bkw\b/.test(said)) {
        return make(
          'SCHEMA_MISSING',
          `the database ${label} lacks what this kw needs: ${said}`,
          'run kw db migrate',
        );
      }
      break;
    case '53200':
      if (/out of shared memory/.test(said)) {
        return make(
          'DATABASE_LOCKS',
          `the database ${label} has no room for so many locks`,
          'ask for less time at once, or raise max_locks_per_transaction on the server: kw db doctor tells how far',
        );
      }
      break;
    case '57014':
      return make('DATABASE_TIMEOUT', `the database ${label} took too long: ${said}`);
    default:
  }
  if (/SASL|password must be a string|client password/i.test(said)) {
    return make(
      'DATABASE_AUTH',
      `the database ${label} asks for a password`,
      `put it into ${namedBy}, PGPASSWORD or ~/.pgpass`,
    );
  }
  const tls = tlsFailure(code, said);
  if (tls) return make('DATABASE_TLS', `no TLS connection to ${label}: ${tls.message}`, tls.hint);
  return make('DATABASE_ERROR', `the database ${label} reports: ${said}`);
}

function awayHint(code: string | undefined, { namedBy = 'KW_DATABASE_URL', embedded }: Told): string {
  if (code === '53300') return 'all its connections are in use: raise max_connections, or end some';
  if (embedded) return 'start it with kw db start; its log lies in its folder';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `check the name of the host in ${namedBy}`;
  return `check that it runs and that ${namedBy} names it`;
}

/** What pg_hba.conf asks for beside a password, from the server's own words. */
function loginHint(said: string): string | undefined {
  if (/valid client certificate/.test(said)) {
    return 'it asks for a client certificate: add sslcert=FILE and sslkey=FILE to the database URL';
  }
  if (/certificate authentication failed/.test(said)) {
    return 'the name (CN) in the client certificate must be the user of the database URL';
  }
  if (/no encryption$|SSL off$/.test(said)) {
    return 'perhaps it takes logins by TLS only: sslmode=require or verify-full';
  }
  return undefined;
}
