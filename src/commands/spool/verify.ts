import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import type { SpoolReport } from '../../lib/collector/spoolReport.ts';
import type { SpoolTotals } from '../../lib/collector/spoolText.ts';
import { settingsFlags } from '../../lib/config/flags.ts';

/** kw spool verify */
export default class SpoolVerify extends KwCommand {
  static override summary = 'read every record of the spools of this machine and check that it is whole';
  static override description =
    'Changes nothing, and may run while kw collect does. Exits with 1 when anything is damaged or cannot be read. ' +
    'With a database it also says how much is stored already.';
  static override examples = [
    '<%= config.bin %> spool verify',
    '<%= config.bin %> spool verify --folder /mnt/disk-of-a-dead-machine/collector/spool',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    folder: Flags.string({ description: 'only the spool in this folder', helpValue: 'FOLDER' }),
    ...settingsFlags,
  };

  async run(): Promise<{ whole: boolean; spools: (SpoolReport & { totals: SpoolTotals })[] }> {
    const { flags } = await this.parse(SpoolVerify);
    const { loadSettings } = await import('../../lib/config/settings.ts');
    const { readSpools } = await import('../../lib/collector/spoolReport.ts');
    const { isDamaged, totalsOf, verifyText } = await import('../../lib/collector/spoolText.ts');
    const reports = await readSpools(
      loadSettings(flags),
      { folder: flags.folder, withBodies: true },
      (problem) => this.logToStderr('%s', `${problem}: what is stored already is not known`),
    );
    if (!this.jsonEnabled()) {
      if (reports.length === 0) this.logToStderr('there is no spool with anything in it');
      else this.log('%s', reports.map(verifyText).join('\n'));
    }
    const whole = !reports.some(isDamaged);
    if (!whole) process.exitCode = 1;
    return { whole, spools: reports.map((report) => ({ ...report, totals: totalsOf(report) })) };
  }
}
