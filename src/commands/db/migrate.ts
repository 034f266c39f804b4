import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';
import { loadSettings } from '../../lib/config/settings.ts';
import type { Flavour } from '../../lib/database/flavour.ts';
import type { MigrateResult } from '../../lib/database/migrate.ts';

/** kw db migrate */
export default class DbMigrate extends KwCommand {
  static override summary = 'bring the schema of the database up to this version of kw';
  static override description =
    'Makes roles, tables, views and functions, or upgrades them; safe to run at any time. Uses TimescaleDB where the server has it, ' +
    'else partitions of plain PostgreSQL. Needs a superuser, or the owner of the database with CREATEROLE; ' +
    'upgrades need kw_admin. Also restores functions, views and indexes that kw db doctor found changed.';
  static override examples = [
    '<%= config.bin %> db migrate',
    '<%= config.bin %> db migrate --dry-run > migration.sql',
    '<%= config.bin %> db migrate --database postgres://postgres@db.example.org/kw --flavour timescaledb',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    'dry-run': Flags.boolean({ description: 'print the SQL that would be run, and change nothing' }),
    flavour: Flags.option({
      options: ['timescaledb', 'plain'] as const,
      description: 'of a new database: insist on TimescaleDB, or do without it',
    })(),
    ...settingsFlags,
  };

  async run(): Promise<MigrateResult> {
    const { flags } = await this.parse(DbMigrate);
    const [{ withClient }, { migrate }] = await Promise.all([
      import('../../lib/database/resolve.ts'),
      import('../../lib/database/migrate.ts'),
    ]);
    const result = await withClient(loadSettings(flags), (client, target) => {
      this.logToStderr(`database ${target.label}`);
      return migrate(client, {
        dryRun: flags['dry-run'],
        flavour: flags.flavour as Flavour | undefined,
        onProgress: (message) => this.logToStderr(message),
      });
    });
    if (flags['dry-run']) this.log(result.sql.trimEnd() || '-- nothing to do');
    else if (result.from === result.to)
      this.logToStderr(`schema ${result.to} (${result.flavour}): nothing to do`);
    else this.logToStderr(`schema ${result.from} -> ${result.to} (${result.flavour})`);
    return result;
  }
}
