import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';
import type { IssuedToken } from '../../lib/tokens/store.ts';

/** kw token list */
export default class TokenList extends KwCommand {
  static override summary = 'list the tokens that were issued';
  static override description =
    'Who has a token, for what and until when; never a token itself. Needs kw_admin.';
  static override examples = [
    '<%= config.bin %> token list',
    '<%= config.bin %> token list --all --user alice',
    '<%= config.bin %> token list --json',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    all: Flags.boolean({ description: 'those too that have ended or were revoked' }),
    user: Flags.string({ description: 'only tokens of this user', helpValue: 'NAME' }),
    limit: Flags.integer({
      description: 'at most so many',
      default: 100,
      min: 1,
      max: 100_000,
      helpValue: 'N',
    }),
    ...settingsFlags,
  };

  async run(): Promise<{ tokens: IssuedToken[] }> {
    const { flags } = await this.parse(TokenList);
    const { loadSettings } = await import('../../lib/config/settings.ts');
    const { withAdminClient } = await import('../../lib/tokens/database.ts');
    const { listTokens } = await import('../../lib/tokens/store.ts');
    const settings = loadSettings(flags);
    const { tokens, cut } = await withAdminClient(settings, (client) => listTokens(client, { ...flags }));
    if (!this.jsonEnabled()) {
      if (tokens.length === 0) this.logToStderr(flags.all ? 'no token was issued' : 'no token holds now');
      else {
        const { tokenTable } = await import('../../lib/tokens/describe.ts');
        const { terminalWidth } = await import('../../lib/output/fit.ts');
        this.log(tokenTable(tokens, settings.timeZone, terminalWidth(process.stdout)));
      }
    }
    if (cut) this.logToStderr(`there are more than ${flags.limit} tokens: see --limit`);
    return { tokens };
  }
}
