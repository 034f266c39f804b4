import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { remoteFlags } from '../../lib/config/flags.ts';
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
    ...remoteFlags,
  };
  static override enableJsonFlag = true;

  async run(): Promise<unknown> {
    const { flags } = await this.parse(JobShow);
    const { loadSettings } = await import('../../lib/config/settings.ts');
    const { runCall } = await import('../../lib/remote/reach.ts');
    const { jobShowCall } = await import('../../lib/remote/calls.ts');
    const { parseJobRef } = await import('../../lib/jobs/jobRef.ts');
    const settings = loadSettings(flags);
    const ref = parseJobRef(flags.job);
    const { shown, gaps } = await runCall(settings, jobShowCall, { ref, values: flags.values });
    const { describeJob, shownJson } = await import('../../lib/jobs/describe.ts');
    if (!this.jsonEnabled()) this.log(describeJob(shown, settings.timeZone));
    if (shown.problem !== undefined) this.logToStderr('%s', `warning: ${shown.problem}`);
    for (const gap of gaps) this.logToStderr(`warning: ${gap}`);
    return { ...shownJson(shown), gaps };
  }
}
