import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';
import { jobFlag } from '../../lib/jobs/flags.ts';

/** kw job show */
export default class JobShow extends KwCommand {
  static override summary =
    'show a job: its nodes and their times, what is enabled for it, its values so far';
  static override examples = [
    '<%= config.bin %> job show --job 1234',
    '<%= config.bin %> job show --job oar:1234 --json',
    '<%= config.bin %> job show --job current --no-values',
  ];
  static override flags = {
    job: Flags.string({ ...jobFlag, required: true }),
    values: Flags.boolean({
      description: 'count the values, which takes a second for every few millions',
      default: true,
      allowNo: true,
    }),
    ...settingsFlags,
  };
  static override enableJsonFlag = true;

  async run(): Promise<unknown> {
    const { flags } = await this.parse(JobShow);
    const { loadSettings } = await import('../../lib/config/settings.ts');
    const { withClient } = await import('../../lib/database/resolve.ts');
    const { parseJobRef } = await import('../../lib/jobs/jobRef.ts');
    const { showJob } = await import('../../lib/jobs/listJobs.ts');
    const { promotionsOfJob } = await import('../../lib/promotions/listPromotions.ts');
    const settings = loadSettings(flags);
    const ref = parseJobRef(flags.job);
    const { jobGaps } = await import('../../lib/metrics/gaps.ts');
    const { shown, gaps } = await withClient(settings, async (client) => {
      const job = await showJob(client, ref, flags.values);
      const enabled = await promotionsOfJob(client, job);
      return { shown: { ...job, enabled }, gaps: await jobGaps(client, flags.job) };
    });
    const { describeJob, shownJson } = await import('../../lib/jobs/describe.ts');
    if (!this.jsonEnabled()) this.log(describeJob(shown, settings.timeZone));
    if (shown.problem !== undefined) this.logToStderr('%s', `warning: ${shown.problem}`);
    for (const gap of gaps) this.logToStderr(`warning: ${gap}`);
    return { ...shownJson(shown), gaps };
  }
}
