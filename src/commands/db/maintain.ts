import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';
import { loadSettings } from '../../lib/config/settings.ts';
import type { MaintainResult } from '../../lib/database/maintain.ts';

/** kw db maintain */
export default class DbMaintain extends KwCommand {
  static override summary = 'refresh the summary, make partitions and apply the retention now';
  static override description =
    'Collectors and the jobs of TimescaleDB do this every few minutes; by hand it is needed after an import, ' +
    'after a change of the retention, or when no collector runs. Needs kw_admin.';
  static override examples = [
    '<%= config.bin %> db maintain',
    '<%= config.bin %> db maintain --chunk-interval 1h',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    'chunk-interval': Flags.string({
      description:
        'on TimescaleDB: length of the chunks to come, such as 6h or, above 1000 values a second, 1h',
      helpValue: 'DURATION',
    }),
    ...settingsFlags,
  };

  async run(): Promise<MaintainResult> {
    const { flags } = await this.parse(DbMaintain);
    const [{ withClient }, { checkSchema }, { maintain }, { setChunkInterval }, { parseDurationMs }] =
      await Promise.all([
        import('../../lib/database/resolve.ts'),
        import('../../lib/database/migrate.ts'),
        import('../../lib/database/maintain.ts'),
        import('../../lib/database/chunks.ts'),
        import('../../lib/time.ts'),
      ]);
    const intervalMs = flags['chunk-interval'] && parseDurationMs(flags['chunk-interval']);
    const result = await withClient(loadSettings(flags), async (client) => {
      const flavour = await checkSchema(client);
      if (intervalMs) await setChunkInterval(client, flavour, intervalMs);
      return maintain(client, flavour, (message) => this.logToStderr(message));
    });
    if (result.busy) this.logToStderr('somebody else is at it: nothing done');
    else if (result.partsDropped > 0)
      this.logToStderr(`dropped ${result.partsDropped} days or chunks of raw values`);
    else this.logToStderr('done: there was nothing to drop');
    return result;
  }
}
