import { KwCommand } from '../../../cli/command.ts';
import { settingsFlags } from '../../../lib/config/flags.ts';
import type { ListedKey } from '../../../lib/tokens/listKeys.ts';

/** kw token key list */
export default class TokenKeyList extends KwCommand {
  static override summary = 'list the keys of tokens, the one that signs last';
  static override examples = ['<%= config.bin %> token key list', '<%= config.bin %> token key list --json'];
  static override enableJsonFlag = true;
  static override flags = { ...settingsFlags };

  async run(): Promise<{ file: string; keys: ListedKey[] }> {
    const { flags } = await this.parse(TokenKeyList);
    const { loadSettings } = await import('../../../lib/config/settings.ts');
    const { withAdminClient } = await import('../../../lib/tokens/database.ts');
    const { keyTable, listKeys } = await import('../../../lib/tokens/listKeys.ts');
    const settings = loadSettings(flags);
    const file = settings.server.keysFile;
    const keys = await withAdminClient(settings, (client) => listKeys(client, file));
    if (keys.length > 0) this.log(keyTable(keys));
    else this.logToStderr(`there is no key in ${file}: kw token create makes the first one`);
    return { file, keys };
  }
}
