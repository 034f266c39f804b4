import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';
import { loadSettings } from '../../lib/config/settings.ts';
import type { ReadScope, Rights } from '../../lib/database/rights.ts';

/** kw db rights */
export default class DbRights extends KwCommand {
  static override summary = 'show or set what users see';
  static override description =
    'Without flags it shows what holds. It holds in psql, through kw serve and through PostgREST alike: the database ' +
    'decides. Needs kw_admin to set. docs/rights.md tells who may do what.';
  static override examples = [
    '<%= config.bin %> db rights',
    '<%= config.bin %> db rights --read-scope own_jobs',
    '<%= config.bin %> db rights --anonymous-read --site lyon',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    'read-scope': Flags.option({
      options: ['all', 'own_jobs'] as const satisfies readonly ReadScope[],
      description: 'users see everything, or the nodes of their own jobs while they had them',
    })(),
    'anonymous-read': Flags.boolean({
      description: 'show metrics also to callers of the HTTP API who do not say who they are',
      allowNo: true,
    }),
    site: Flags.string({
      description: 'name of this site, for tokens and the paths of the HTTP API; empty: none',
      helpValue: 'NAME',
    }),
    ...settingsFlags,
  };

  async run(): Promise<Rights> {
    const { flags } = await this.parse(DbRights);
    const [{ withClient }, { checkSchema }, { readRights, rightsText, writeRights }] = await Promise.all([
      import('../../lib/database/resolve.ts'),
      import('../../lib/database/migrate.ts'),
      import('../../lib/database/rights.ts'),
    ]);
    const { 'read-scope': readScope, 'anonymous-read': anonymousRead, site } = flags;
    const rights = await withClient(loadSettings(flags), async (client) => {
      await checkSchema(client);
      await writeRights(client, {
        ...(readScope === undefined ? {} : { readScope }),
        ...(anonymousRead === undefined ? {} : { anonymousRead }),
        ...(site === undefined ? {} : { site: site === '' ? null : site }),
      });
      return readRights(client);
    });
    this.log(rightsText(rights));
    return rights;
  }
}
