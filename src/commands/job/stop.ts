import { Flags } from '@oclif/core';
import { KwCommand } from '../../command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';
import { timeoutFlag } from '../../lib/jobs/prolog.ts';
import { jobFlag } from '../../lib/promotions/flags.ts';

interface Stopped {
  job: { source: string; jobId: number };
  endedNodes: number;
}

/** kw job stop */
export default class JobStop extends KwCommand {
  static override summary = 'tell kw that a job has ended, or that nodes leave it early';
  static override description =
    'For epilogs and by hand. What was enabled for the job ends with it. Stopping it again changes nothing. ' +
    'Without a terminal, as in an epilog, the command gives up after one second.';
  static override examples = [
    '<%= config.bin %> job stop --job 1234',
    '<%= config.bin %> job stop --job 1234 --nodes node-3',
    '<%= config.bin %> job stop --job oar:1234 --at -10m',
  ];
  static override flags = {
    job: Flags.string({ ...jobFlag, required: true }),
    at: Flags.string({ description: 'when it ended, instead of now', helpValue: 'TIME' }),
    nodes: Flags.string({ description: 'only these nodes leave; the job goes on', helpValue: 'LIST' }),
    timeout: timeoutFlag,
    ...settingsFlags,
  };
  static override enableJsonFlag = true;

  async run(): Promise<Stopped> {
    const { flags } = await this.parse(JobStop);
    const { withBoundedClient } = await import('../../lib/jobs/prolog.ts');
    const { stopJob } = await import('../../lib/jobs/startJob.ts');
    const { parseJobRef } = await import('../../lib/jobs/jobRef.ts');
    const { expandHostList } = await import('../../lib/jobs/hostList.ts');
    const { nowUs, parseTimeUs } = await import('../../lib/time.ts');
    const request = {
      ref: parseJobRef(flags.job),
      stoppedUs: flags.at === undefined ? undefined : parseTimeUs(flags.at, { nowUs: nowUs() }),
      nodes: flags.nodes === undefined ? undefined : expandHostList(flags.nodes),
    };
    const stopped = await withBoundedClient(
      { ...flags, consequence: 'it is not known whether the job was stopped', json: this.jsonEnabled() },
      (client) => stopJob(client, request),
    );
    const { jobLabel } = await import('../../lib/jobs/model.ts');
    const { endedNodes } = stopped;
    this.logToStderr(
      endedNodes === 0
        ? `job ${jobLabel(stopped.job)} had no such nodes any more`
        : `job ${jobLabel(stopped.job)} gave back ${endedNodes} ${endedNodes === 1 ? 'node' : 'nodes'}`,
    );
    return stopped;
  }
}
