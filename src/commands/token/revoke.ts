import { Args, Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';

/** kw token revoke */
export default class TokenRevoke extends KwCommand {
  static override strict = false;
  static override summary = 'end tokens before their time';
  static override description =
    'A running kw serve refuses them within two seconds. The ids are those of kw token list. Needs kw_admin.';
  static override examples = [
    '<%= config.bin %> token revoke 3f0c7a1e-5b0f-4a53-9c0c-2f1d0f0a7b11',
    '<%= config.bin %> token revoke --user alice',
  ];
  static override enableJsonFlag = true;
  static override args = {
    id: Args.string({ description: 'id of a token; several may be given', ignoreStdin: true }),
  };
  static override flags = {
    user: Flags.string({ description: 'all tokens of this user', helpValue: 'NAME' }),
    ...settingsFlags,
  };

  async run(): Promise<{ revoked: { id: string; user: string }[] }> {
    const { argv, flags } = await this.parse(TokenRevoke);
    const { loadSettings } = await import('../../lib/config/settings.ts');
    const { withAdminClient } = await import('../../lib/tokens/database.ts');
    const { revoke } = await import('../../lib/tokens/revoke.ts');
    const ids = argv.map(String);
    const { revoked, notes } = await withAdminClient(loadSettings(flags), (client) =>
      revoke(client, { ids, user: flags.user }),
    );
    for (const { id, user } of revoked) this.log(`revoked ${id} of ${user}`);
    for (const note of notes) this.logToStderr(note);
    return { revoked };
  }
}
