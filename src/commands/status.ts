import { Flags } from '@oclif/core';
import { KwCommand } from '../cli/command.ts';
import type { StatusReport } from '../lib/collector/statusReport.ts';
import { settingsFlags } from '../lib/config/flags.ts';
import { loadSettings } from '../lib/config/settings.ts';
import { KwError } from '../lib/errors.ts';

/** Exit codes of --check, as monitoring systems expect them. */
const CHECK_EXIT = { ok: 0, warning: 1, critical: 2 } as const;

/** kw status */
export default class Status extends KwCommand {
  static override summary = 'show collectors and devices: up, last poll, lag, errors, missed intervals, gaps';
  static override description =
    'Asks the database and the collector of this machine, which is up to date about itself; the latter alone while the ' +
    'database is away. Starts nothing: an embedded database that is stopped stays stopped. ' +
    'Gaps are the times of the last 24 hours in which a collector did not run, or lost values. With --check: one line, and exit code 0 when all is ' +
    'well, 1 for a warning (devices down or slow, values lost, a refused configuration), 2 when it is critical ' +
    '(no collector runs, one is silent or cannot write, or every device is down).';
  static override examples = [
    '<%= config.bin %> status',
    '<%= config.bin %> status --all --json',
    '<%= config.bin %> status --check',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    all: Flags.boolean({
      description: 'list every device, not only those that need attention, and every gap',
    }),
    check: Flags.boolean({
      description: 'one line and an exit code, for scripts',
      exclusive: ['all', 'json'],
    }),
    ...settingsFlags,
  };

  async run(): Promise<StatusReport> {
    const { flags } = await this.parse(Status);
    const settings = loadSettings(flags);
    const { checkLine, judge } = await import('../lib/collector/statusJudge.ts');
    let report: StatusReport;
    try {
      const { readStatus } = await import('../lib/collector/statusRead.ts');
      report = await readStatus(settings, (problem) =>
        this.logToStderr('%s', `${problem}; this is what the collector of this machine says`),
      );
    } catch (error) {
      if (!flags.check || !(error instanceof KwError)) throw error;
      this.log('%s', `kw CRITICAL: ${error.message}`);
      return this.exit(CHECK_EXIT.critical);
    }
    if (flags.check) {
      const { level, line } = checkLine(report);
      this.log('%s', line);
      return this.exit(CHECK_EXIT[level]);
    }
    if (this.jsonEnabled()) return report;
    const { terminalWidth } = await import('../lib/output/fit.ts');
    const { statusText } = await import('../lib/collector/statusText.ts');
    const { text, remark } = statusText(report, flags.all, terminalWidth(process.stdout));
    this.log('%s', text);
    if (remark) this.logToStderr(remark);
    for (const { level, message } of judge(report).findings) this.logToStderr('%s', `${level}: ${message}`);
    return report;
  }
}
