import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';
import type { ShortRole } from '../../lib/tokens/claims.ts';
import type { Issued } from '../../lib/tokens/issue.ts';

/** kw token create */
export default class TokenCreate extends KwCommand {
  static override summary = 'make a token, with which a user calls the HTTP API';
  static override description =
    'Prints the token on stdout, once: kw does not keep it. A writer pushes values for the devices of the token, and for ' +
    'the nodes of their own running jobs in any case. Run it where kw serve has its keys, as a user who may read them, ' +
    'with a database login that has kw_admin.';
  static override examples = [
    '<%= config.bin %> token create --user alice',
    "<%= config.bin %> token create --user alice --role writer --devices node-1,node-2 --metrics 'alice_.*' --expires 7d",
    '<%= config.bin %> token create --user slurmctld --role scheduler --expires 365d --note prolog',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    user: Flags.string({ description: 'whose token it is', helpValue: 'NAME', required: true }),
    role: Flags.custom<ShortRole>({
      description:
        'what it is good for: to read, to push and enable too, to start jobs of others, everything',
      options: ['reader', 'writer', 'scheduler', 'admin'],
      default: 'reader',
    })(),
    devices: Flags.string({
      description: "devices that may be pushed for; 'rack1-*' are all that begin so",
      helpValue: 'LIST',
    }),
    metrics: Flags.string({
      description: "metrics that may be pushed; 'alice_.*' or 'alice_*' are all that begin so [default: any]",
      helpValue: 'LIST',
    }),
    expires: Flags.string({
      description: 'how long it holds, such as 12h, 7d or 365d',
      helpValue: 'DURATION',
      default: '30d',
    }),
    note: Flags.string({ description: 'what to remember about it', helpValue: 'TEXT', default: '' }),
    ...settingsFlags,
  };

  async run(): Promise<Issued> {
    const { flags } = await this.parse(TokenCreate);
    const { loadSettings } = await import('../../lib/config/settings.ts');
    const { withAdminClient } = await import('../../lib/tokens/database.ts');
    const { issueToken } = await import('../../lib/tokens/issue.ts');
    const { parseLifeMs } = await import('../../lib/tokens/life.ts');
    const settings = loadSettings(flags);
    const wish = { ...flags, lifeMs: parseLifeMs(flags.expires) };
    const issued = await withAdminClient(settings, (client) =>
      issueToken(client, settings.server.keysFile, wish),
    );
    if (!this.jsonEnabled()) this.log(issued.token);
    if (issued.newKey) this.logToStderr(`made a key in ${settings.server.keysFile}; kw serve reads it there`);
    const { formatLocal, localTimeZone } = await import('../../lib/time.ts');
    const until = formatLocal(issued.expiresUs, settings.timeZone ?? localTimeZone(), 0);
    this.logToStderr(`token ${issued.id} of ${issued.user} (${issued.role}) until ${until}`);
    return issued;
  }
}
