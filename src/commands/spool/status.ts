import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import type { SpoolReport } from '../../lib/collector/spoolReport.ts';
import type { SpoolTotals } from '../../lib/collector/spoolText.ts';
import { settingsFlags } from '../../lib/config/flags.ts';

/** kw spool status */
export default class SpoolStatus extends KwCommand {
  static override summary = 'show what was read and waits on the disk of this machine until it is stored';
  static override description =
    'Reads the folders of the spools of kw collect and kw push --spool, whether or not they run, and changes nothing. ' +
    'What of it is stored already is asked of the database, if one answers; without it, everything counts as waiting. ' +
    'Needs to run as the user that kw collect runs as, or as root.';
  static override examples = [
    '<%= config.bin %> spool status',
    '<%= config.bin %> spool status --segments',
    '<%= config.bin %> spool status --folder /var/lib/kw/collector/spool --json',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    segments: Flags.boolean({ description: 'list every segment' }),
    folder: Flags.string({ description: 'only the spool in this folder', helpValue: 'FOLDER' }),
    ...settingsFlags,
  };

  async run(): Promise<{ spools: (SpoolReport & { totals: SpoolTotals })[] }> {
    const { flags } = await this.parse(SpoolStatus);
    const { loadSettings } = await import('../../lib/config/settings.ts');
    const { readSpools } = await import('../../lib/collector/spoolReport.ts');
    const { spoolText, totalsOf } = await import('../../lib/collector/spoolText.ts');
    const settings = loadSettings(flags);
    const reports = await readSpools(settings, { folder: flags.folder, withBodies: false }, (problem) =>
      this.logToStderr('%s', `${problem}: what is stored already is not known`),
    );
    if (!this.jsonEnabled()) {
      const texts = reports.map((report) => spoolText(report, settings.timeZone, flags.segments));
      if (texts.length === 0) this.logToStderr('nothing waits: there is no spool with anything in it');
      else this.log('%s', texts.join('\n\n'));
    }
    return { spools: reports.map((report) => ({ ...report, totals: totalsOf(report) })) };
  }
}
