import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';
import { loadSettings } from '../../lib/config/settings.ts';
import type { Retention } from '../../lib/database/retention.ts';

/** kw db retention */
export default class DbRetention extends KwCommand {
  static override summary = 'show or set how long values are kept';
  static override description =
    'Without flags it shows what holds. Everything is kept for ever unless you ask for less. ' +
    'Raw values are dropped by whole days or chunks within minutes after the change; their summary of 5 minutes stays. ' +
    'Needs kw_admin to set.';
  static override examples = [
    '<%= config.bin %> db retention',
    '<%= config.bin %> db retention --raw 90d --summary never',
    '<%= config.bin %> db retention --raw 90d --dry-run',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    raw: Flags.string({
      description: 'drop raw values that are older, such as 90d; never: keep all',
      helpValue: 'AGE',
    }),
    summary: Flags.string({
      description: 'drop summaries that are older; never: keep all',
      helpValue: 'AGE',
    }),
    'dry-run': Flags.boolean({ description: 'tell what would be dropped, and change nothing' }),
    ...settingsFlags,
  };

  async run(): Promise<Retention> {
    const { flags } = await this.parse(DbRetention);
    const [{ withClient }, { checkSchema }, retention, { parseDurationMs }] = await Promise.all([
      import('../../lib/database/resolve.ts'),
      import('../../lib/database/migrate.ts'),
      import('../../lib/database/retention.ts'),
      import('../../lib/time.ts'),
    ]);
    const read = (text: string | undefined, now: number | null): number | null => {
      if (text === undefined) return now;
      return text === 'never' ? null : parseDurationMs(text);
    };
    return withClient(loadSettings(flags), async (client) => {
      const flavour = await checkSchema(client);
      const before = await retention.readRetention(client);
      const after = {
        rawMs: read(flags.raw, before.rawMs),
        summaryMs: read(flags.summary, before.summaryMs),
      };
      const asked = flags.raw !== undefined || flags.summary !== undefined;
      if (asked) retention.checkRetention(after);
      const due = await retention.countDue(client, flavour, after.rawMs);
      if (asked && !flags['dry-run']) await retention.writeRetention(client, after);
      this.log(`raw values: ${retention.formatRetention(after.rawMs)}`);
      this.log(`summary: ${retention.formatRetention(after.summaryMs)}`);
      if (due === 0 && flags['dry-run']) this.logToStderr('this would drop nothing now');
      if (due > 0) {
        const what = `${due} ${flavour === 'plain' ? 'day' : 'chunk'}${due === 1 ? '' : 's'} of raw values`;
        this.logToStderr(
          flags['dry-run']
            ? `this would drop ${what}`
            : `older, and dropped in the next minutes: ${what}; at once: kw db maintain`,
        );
      }
      return after;
    });
  }
}
