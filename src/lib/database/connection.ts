/** A connection to a database, whose errors say what to do. */
import type { Socket } from 'node:net';
import pg from 'pg';
import { databaseError } from './errors.ts';
import { parseDatabaseUrl } from './url.ts';

export interface DatabaseTarget {
  /** May hold a password: never print it. */
  readonly url: string;
  /** Safe to print. */
  readonly label: string;
  /** The server in the user's own data folder. */
  readonly embedded: boolean;
  /** Where the user wrote the URL, for hints, such as `--to`; KW_DATABASE_URL unless told. */
  readonly namedBy?: string | undefined;
}

export interface ClientOptions {
  /** Shown in pg_stat_activity; `kw` unless told. */
  readonly applicationName?: string;
  /** Bound on connecting, name look-up and login included; 10 s unless told here or in the URL. */
  readonly connectTimeoutMs?: number;
  /** Bound on every statement; none unless told. */
  readonly statementTimeoutMs?: number;
  /** How to make the socket, for those who must not wait for a name server: see lookup.ts. */
  readonly socket?: (() => Socket) | undefined;
}

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * A connected client; the caller ends it. Times come as text in UTC, int8 as a number where that is exact.
 *
 * @throws KwError DATABASE_AWAY, DATABASE_AUTH, DATABASE_TLS, DATABASE_UNKNOWN, ...
 */
export async function openClient(target: DatabaseTarget, options: ClientOptions = {}): Promise<pg.Client> {
  const { config, attempts } = parseDatabaseUrl(target.url);
  const timeoutMs = options.connectTimeoutMs ?? config.connectionTimeoutMillis ?? CONNECT_TIMEOUT_MS;
  const deadline = Date.now() + timeoutMs;
  let failure: unknown;
  for (const ssl of attempts) {
    const client = new pg.Client({
      ...config,
      ssl,
      application_name: options.applicationName ?? config.application_name ?? 'kw',
      connectionTimeoutMillis: Math.max(1, deadline - Date.now()),
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      options: `${config.options ?? ''} -c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres`,
      types,
      ...(options.socket === undefined ? {} : { stream: options.socket }),
      ...(options.statementTimeoutMs === undefined ? {} : { statement_timeout: options.statementTimeoutMs }),
    });
    // A connection that breaks while nobody waits would end the process; the next query fails anyway.
    client.on('error', () => {});
    try {
      await client.connect();
      return client;
    } catch (error) {
      void client.end().catch(() => {});
      // libpq tries the other way only when the server spoke, not when there is no server.
      if (failure === undefined || !lacksTls(error)) failure = error;
      if (!wantsOtherTls(error)) break;
    }
  }
  throw databaseError(failure, target);
}

function wantsOtherTls(error: unknown): boolean {
  return lacksTls(error) || (error instanceof Error && 'code' in error && error.code === '28000');
}

function lacksTls(error: unknown): boolean {
  return error instanceof Error && /does not support SSL/.test(error.message);
}

const INT8 = 20;
/** timestamp, timestamptz, date, time, interval and their arrays: text, since a Date loses microseconds. */
const TEXT_TYPES = new Set([1114, 1184, 1082, 1083, 1266, 1186, 1115, 1185, 1182, 1187]);

const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') => {
    if (format !== 'binary' && oid === INT8) return parseInt8;
    if (format !== 'binary' && TEXT_TYPES.has(oid)) return (text: string) => text;
    return pg.types.getTypeParser(oid, format as 'text');
  },
};

function parseInt8(text: string): number | string {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : text;
}
