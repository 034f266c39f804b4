import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { remoteFlags } from '../../lib/config/flags.ts';
import { jobFlag } from '../../lib/jobs/flags.ts';
import type { StoppedJob } from '../../lib/jobs/startJob.ts';
import { timeoutFlag } from '../../lib/prolog/flags.ts';

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
    timeout: Flags.string(timeoutFlag),
    ...remoteFlags,
  };
  static override enableJsonFlag = true;

  async run(): Promise<StoppedJob> {
    const { flags } = await this.parse(JobStop);
    const { runJobStop } = await import('../../lib/prolog/commands.ts');
    return runJobStop(flags, { json: this.jsonEnabled(), note: (line) => this.logToStderr(line) });
  }
}
