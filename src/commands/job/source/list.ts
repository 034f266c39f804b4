import { KwCommand } from '../../../cli/command.ts';
import { settingsFlags } from '../../../lib/config/flags.ts';
import type { SourceReport } from '../../../lib/jobs/sources/listSources.ts';

/** kw job source list */
export default class JobSourceList extends KwCommand {
  static override summary = 'show where jobs come from, and how old what is known of them is';
  static override examples = [
    '<%= config.bin %> job source list',
    '<%= config.bin %> job source list --json',
  ];
  static override flags = { ...settingsFlags };
  static override enableJsonFlag = true;

  async run(): Promise<{ sources: SourceReport[] }> {
    const { flags } = await this.parse(JobSourceList);
    const [{ withClient }, { loadSettings }, { listSources, sourceProblem, sourceTable }] = await Promise.all(
      [
        import('../../../lib/database/resolve.ts'),
        import('../../../lib/config/settings.ts'),
        import('../../../lib/jobs/sources/listSources.ts'),
      ],
    );
    const sources = await withClient(loadSettings(flags), listSources);
    if (this.jsonEnabled()) return { sources };
    if (sources.length === 0) this.logToStderr('no source of jobs: see kw job source add, and kw job start');
    else {
      const { terminalWidth } = await import('../../../lib/output/fit.ts');
      this.log('%s', sourceTable(sources, undefined, terminalWidth(process.stdout)));
    }
    for (const source of sources) {
      const problem = sourceProblem(source);
      if (problem !== undefined) this.logToStderr('%s', `warning: ${problem}`);
      else if (source.unwatched)
        this.logToStderr(`warning: no collector looks after ${source.name}: its promotions do not change`);
    }
    return { sources };
  }
}
