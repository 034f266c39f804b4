import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';
import { loadSettings } from '../../lib/config/settings.ts';

/** kw db postgrest-config */
export default class DbPostgrestConfig extends KwCommand {
  static override summary = 'print a configuration of PostgREST for the HTTP API';
  static override description =
    'For sites that prefer PostgREST to kw serve: it offers the same functions under /rpc, with the same rights. ' +
    'No secret is printed. What PostgREST does not do is told in docs/rights.md.';
  static override examples = [
    '<%= config.bin %> db postgrest-config > /etc/postgrest/kw.conf',
    '<%= config.bin %> db postgrest-config --jwks /etc/postgrest/kw-jwks.json --port 3001',
  ];
  static override flags = {
    jwks: Flags.string({
      description: 'file with the keys that verify tokens: see kw token key export',
      default: '/etc/postgrest/kw-jwks.json',
      helpValue: 'FILE',
    }),
    host: Flags.string({
      description: 'address that PostgREST listens on',
      default: '127.0.0.1',
      helpValue: 'ADDRESS',
    }),
    port: Flags.integer({
      description: 'port that PostgREST listens on',
      helpValue: 'PORT',
      default: 3000,
      min: 1,
      max: 65_535,
    }),
    ...settingsFlags,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(DbPostgrestConfig);
    const [{ withClient }, { checkSchema }, { readRights }, { postgrestConfig }] = await Promise.all([
      import('../../lib/database/resolve.ts'),
      import('../../lib/database/migrate.ts'),
      import('../../lib/database/rights.ts'),
      import('../../lib/database/postgrestConfig.ts'),
    ]);
    const text = await withClient(loadSettings(flags), async (client, target) => {
      await checkSchema(client);
      const { apiLogin } = await readRights(client);
      const { jwks: jwksFile, host, port } = flags;
      return postgrestConfig({ databaseUrl: target.url, apiLogin, jwksFile, host, port });
    });
    this.log(text.trimEnd());
  }
}
