import { Args, Flags } from '@oclif/core';
import { KwCommand } from '../../../cli/command.ts';
import { settingsFlags } from '../../../lib/config/flags.ts';

/** kw token key remove */
export default class TokenKeyRemove extends KwCommand {
  static override summary = 'remove a key: what it signed holds no more';
  static override description =
    'For a key that others may have seen, or whose tokens have all ended. A running kw serve forgets it within a second.';
  static override examples = [
    '<%= config.bin %> token key remove 5f2a90c1b7de',
    '<%= config.bin %> token key remove 5f2a90c1b7de --force',
  ];
  static override enableJsonFlag = true;
  static override args = {
    kid: Args.string({ description: 'as kw token key list says', required: true, ignoreStdin: true }),
  };
  static override flags = {
    force: Flags.boolean({ description: 'also when tokens that it signed still hold' }),
    ...settingsFlags,
  };

  async run(): Promise<{ removed: string; file: string }> {
    const { args, flags } = await this.parse(TokenKeyRemove);
    const { loadSettings } = await import('../../../lib/config/settings.ts');
    const { withAdminClient } = await import('../../../lib/tokens/database.ts');
    const { removeKey } = await import('../../../lib/tokens/listKeys.ts');
    const settings = loadSettings(flags);
    const file = settings.server.keysFile;
    await withAdminClient(settings, (client) => removeKey(client, file, args.kid, flags.force));
    this.log(`removed ${args.kid} from ${file}`);
    return { removed: args.kid, file };
  }
}
