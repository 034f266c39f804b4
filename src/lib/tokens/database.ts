/** A connection for the commands of `kw token`: the tokens that were issued are for administrators. */
import pg from 'pg';
import { checkSchema } from '../database/migrate.ts';
import { type DatabaseSettings, withClient } from '../database/resolve.ts';
import { KwError } from '../errors.ts';

/**
 * The database itself, also where KW_URL names a server.
 * @throws KwError NOT_ADMIN without the role kw_admin; as withClient and checkSchema
 */
export function withAdminClient<T>(
  settings: DatabaseSettings,
  use: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const { databaseUrl, databaseNamedBy, dataFolder } = settings;
  return withClient({ databaseUrl, databaseNamedBy, dataFolder }, async (client) => {
    await checkSchema(client);
    try {
      return await use(client);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError && error.code === '42501')) throw error;
      throw new KwError('only an administrator issues, lists and revokes tokens', {
        code: 'NOT_ADMIN',
        hint: 'use a database login that has the role kw_admin',
        cause: error,
      });
    }
  });
}
