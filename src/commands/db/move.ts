import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';
import type { MoveResult } from '../../lib/database/move.ts';

/** kw db move */
export default class DbMove extends KwCommand {
  static override summary = 'copy everything into another database';
  static override description =
    'From the database that kw uses now, such as the embedded one, into a PostgreSQL server: metrics, jobs, promotions, ' +
    'catalogue and settings. The target is migrated first and must hold nothing yet; a move that was interrupted ' +
    'goes on after the last whole day. Row counts are compared at the end, and nothing is ever deleted from the source. ' +
    'Collectors must be stopped meanwhile. Logins and their roles are not copied.';
  static override examples = [
    '<%= config.bin %> db move --to postgres://kw_admin@db.example.org/kw?sslmode=verify-full',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    to: Flags.string({
      description: 'the database to copy into; a password is better put into PGPASSWORD or ~/.pgpass',
      helpValue: 'URL',
      required: true,
    }),
    force: Flags.boolean({ description: 'add to a database that holds something already' }),
    ...settingsFlags,
  };

  async run(): Promise<MoveResult> {
    const { flags } = await this.parse(DbMove);
    const [
      { loadSettings },
      { openClient },
      { withClient },
      { checkSchema, migrate },
      { move },
      { parseDatabaseUrl },
    ] = await Promise.all([
      import('../../lib/config/settings.ts'),
      import('../../lib/database/connection.ts'),
      import('../../lib/database/resolve.ts'),
      import('../../lib/database/migrate.ts'),
      import('../../lib/database/move.ts'),
      import('../../lib/database/url.ts'),
    ]);
    const { databaseError } = await import('../../lib/database/errors.ts');
    const target = {
      url: flags.to,
      label: parseDatabaseUrl(flags.to).label,
      embedded: false,
      namedBy: '--to',
    };
    const result = await withClient(loadSettings(flags), async (source, { label }) => {
      await checkSchema(source);
      this.logToStderr(`from ${label} to ${target.label}`);
      const client = await openClient(target, { applicationName: 'kw db move' });
      try {
        await migrate(client, { onProgress: (message) => this.logToStderr(message) });
        return await move(source, client, {
          force: flags.force,
          onProgress: ({ day, rows }) => this.logToStderr(`${day}  ${rows} values so far`),
        });
      } catch (error) {
        throw databaseError(error, target);
      } finally {
        await client.end().catch(() => {});
      }
    });
    if (result.resumedAfter) this.logToStderr(`continued after ${result.resumedAfter}`);
    const others = Object.entries(result.tables).map(([name, rows]) => `${rows} of ${name}`);
    this.logToStderr(`copied ${result.rows} values; ${others.join(', ')}`);
    this.logToStderr(`from now on set KW_DATABASE_URL, or database_url in kw.yaml, to the new database`);
    return result;
  }
}
