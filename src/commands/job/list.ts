import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { remoteFlags } from '../../lib/config/flags.ts';

/** kw job list */
export default class JobList extends KwCommand {
  static override summary = 'list jobs, the last started first';
  static override examples = [
    '<%= config.bin %> job list',
    '<%= config.bin %> job list --all --user alice --limit 20',
    '<%= config.bin %> job list --json',
  ];
  static override flags = {
    all: Flags.boolean({ description: 'finished jobs too, not only those that run' }),
    user: Flags.string({ description: 'only jobs of this user', helpValue: 'NAME' }),
    limit: Flags.integer({
      description: 'at most so many',
      default: 50,
      min: 1,
      max: 100_000,
      helpValue: 'N',
    }),
    ...remoteFlags,
  };
  static override enableJsonFlag = true;

  async run(): Promise<{ jobs: unknown[] }> {
    const { flags } = await this.parse(JobList);
    const { loadSettings } = await import('../../lib/config/settings.ts');
    const { runCall } = await import('../../lib/remote/reach.ts');
    const { jobListCall } = await import('../../lib/remote/calls.ts');
    const settings = loadSettings(flags);
    const request = { all: flags.all === true, owner: flags.user, limit: flags.limit };
    const { jobs, cut, problems } = await runCall(settings, jobListCall, request);
    const { jobJson, jobRows } = await import('../../lib/jobs/describe.ts');
    if (!this.jsonEnabled()) {
      const { listing } = await import('../../lib/output/listing.ts');
      const { terminalWidth } = await import('../../lib/output/fit.ts');
      if (jobs.length > 0)
        this.log(listing(...jobRows(jobs, settings.timeZone), terminalWidth(process.stdout)));
      else {
        const of = flags.user === undefined ? '' : ` of ${flags.user}`;
        this.logToStderr(flags.all ? `there are no jobs${of}` : `no job${of} runs; see kw job list --all`);
      }
    }
    for (const problem of problems) this.logToStderr('%s', `warning: ${problem}`);
    if (cut) this.logToStderr(`there are more than ${flags.limit} jobs: see --limit`);
    return { jobs: jobs.map((job) => ({ ...jobJson(job), nodes: job.nodes })) };
  }
}
