import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';

export default class ConfigCheck extends KwCommand {
  static override summary = 'check kw.yaml and the metric files';

  static override description =
    'Reads the settings and every file of metrics.d, and prints what is wrong as file:line:column, what to write ' +
    'instead, and what would be collected. Nothing is asked of devices or databases. Exits with 1 when there are ' +
    'errors, with 0 when there are only warnings.';

  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --config /etc/kwollect/kw.yaml',
    '<%= config.bin %> <%= command.id %> --json',
  ];

  static override flags = { config: settingsFlags.config };

  static override enableJsonFlag = true;

  async run(): Promise<unknown> {
    const { flags } = await this.parse(ConfigCheck);
    const { checkConfig } = await import('../../lib/config/check.ts');
    const { readSettings } = await import('../../lib/config/settings.ts');
    const check = checkConfig(readSettings(flags));
    if (check.errors > 0) process.exitCode = 1;
    const { checkReport } = await import('../../lib/config/checkReport.ts');
    this.log(checkReport(check, process.cwd()));
    return check;
  }
}
