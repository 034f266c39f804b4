/**
 * Connections of `kw serve`: they log in as the API's own login, which has no rights but to become a caller. A superuser
 * (as on the embedded server) becomes that login for good before the first request.
 */
import type { Client } from 'pg';
import { type DatabaseTarget, openClient } from '../database/connection.ts';
import { explainIfDatabase } from '../database/errors.ts';
import { checkSchema } from '../database/migrate.ts';

const CONNECT_TIMEOUT_MS = 5_000;

/** A connection for the pool. */
export async function openServerClient(target: DatabaseTarget): Promise<Client> {
  return await openClient(target, { applicationName: 'kw-serve', connectTimeoutMs: CONNECT_TIMEOUT_MS });
}

/**
 * What must be right before requests are taken.
 * @throws KwError SCHEMA_MISSING, SCHEMA_OLD, DATABASE_AWAY, DATABASE_AUTH, ...
 */
export async function checkServerDatabase(target: DatabaseTarget): Promise<void> {
  const client = await openServerClient(target);
  try {
    await checkSchema(client);
  } catch (error) {
    throw explainIfDatabase(error, target);
  } finally {
    await client.end().catch(() => undefined);
  }
}
