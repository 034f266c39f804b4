/**
 * Connections of `kw serve`: they log in as the API's own login, which has no rights but to become a caller. A superuser
 * (as on the embedded server) becomes that login for good before the first request.
 */
import { type Client, escapeIdentifier } from 'pg';
import { type DatabaseTarget, openClient } from '../database/connection.ts';
import { explainIfDatabase } from '../database/errors.ts';
import { checkSchema } from '../database/migrate.ts';
import { KwError } from '../errors.ts';
import { readSql } from '../packageRoot.ts';

/** A busy machine takes seconds to start a process for a connection; one that refuses says so at once. */
const CONNECT_TIMEOUT_MS = 12_000;

/** As whom a connection speaks. */
export interface ApiLogin {
  /** The login whose claims the database believes. */
  readonly name: string;
  /** The connection is a superuser's, and has to become it. */
  readonly become: boolean;
}

/** A connection for the pool. */
export async function openServerClient(target: DatabaseTarget, login: ApiLogin): Promise<Client> {
  const client = await open(target);
  if (!login.become) return client;
  try {
    await client.query(`SET SESSION AUTHORIZATION ${escapeIdentifier(login.name)}`);
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw explainIfDatabase(error, target);
  }
}

/**
 * What must be right before requests are taken.
 * @throws KwError SCHEMA_MISSING, SCHEMA_OLD, WRONG_LOGIN, DATABASE_AWAY, DATABASE_AUTH, ...
 */
export async function checkServerDatabase(target: DatabaseTarget): Promise<ApiLogin> {
  const client = await open(target);
  try {
    await checkSchema(client);
    const { rows } = await client.query<{ login: string; superuser: boolean; api_login: string }>(
      readSql('queries/server_login'),
    );
    const [found] = rows;
    if (found === undefined) throw new Error('server_login gives no row');
    if (found.login === found.api_login) return { name: found.api_login, become: false };
    if (found.superuser) return { name: found.api_login, become: true };
    throw new KwError(
      `kw serve cannot log in as ${found.login}: the database believes nobody but ${found.api_login} who its callers are`,
      {
        code: 'WRONG_LOGIN',
        hint: `write postgres://${found.api_login}@HOST/NAME into KW_DATABASE_URL or database_url; docs/http-api.md says how it logs in`,
      },
    );
  } catch (error) {
    throw explainIfDatabase(error, target);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function open(target: DatabaseTarget): Promise<Client> {
  return await openClient(target, { applicationName: 'kw-serve', connectTimeoutMs: CONNECT_TIMEOUT_MS });
}
