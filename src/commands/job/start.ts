import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { remoteFlags } from '../../lib/config/flags.ts';
import { jobFlag } from '../../lib/jobs/flags.ts';
import { timeoutFlag } from '../../lib/prolog/flags.ts';
import type { StartedWithMetrics } from '../../lib/promotions/startAndEnable.ts';

/** kw job start */
export default class JobStart extends KwCommand {
  static override summary = 'tell kw that a job begins, or that it has more nodes';
  static override description =
    'For prologs and by hand. Saying the same twice changes nothing; a job that had stopped begins again on ' +
    'the given nodes (requeue). With --enable, optional metrics are read until the job ends. ' +
    'Without a terminal, as in a prolog, the command gives up after one second.';
  static override examples = [
    "<%= config.bin %> job start --job 1234 --nodes 'node-[1-3]'",
    "<%= config.bin %> job start --job 1234 --nodes node-7,node-9 --user alice --enable 'wattmetre.*'",
    '<%= config.bin %> job start --job current --nodes "$SLURM_JOB_NODELIST" --source slurm --user "$SLURM_JOB_USER"',
    "<%= config.bin %> job start --job 1234 --nodes node-1 --at '2026-11-22 10:00'",
  ];
  static override flags = {
    job: Flags.string({ ...jobFlag, required: true }),
    nodes: Flags.string({
      description: "nodes, such as 'node-[1-20,25]'; commas, blanks and newlines separate",
      helpValue: 'LIST',
      required: true,
    }),
    user: Flags.string({ description: 'whose job it is', helpValue: 'NAME' }),
    at: Flags.string({ description: 'when it began, instead of now', helpValue: 'TIME' }),
    name: Flags.string({ description: "the scheduler's other name for it, such as 1234_7", helpValue: 'ID' }),
    source: Flags.string({
      description: 'the scheduler that gave the number [default: kw]',
      helpValue: 'NAME',
    }),
    comment: Flags.string({ description: 'what to remember about it', helpValue: 'TEXT' }),
    monitor: Flags.boolean({
      description:
        'enable what the comment asks for: words monitor=PATTERN, or monitor for all optional metrics',
    }),
    enable: Flags.string({
      description: 'pattern of optional metrics to enable for the job; may be given several times',
      helpValue: 'PATTERN',
      multiple: true,
      multipleNonGreedy: true,
    }),
    timeout: Flags.string(timeoutFlag),
    ...remoteFlags,
  };
  static override enableJsonFlag = true;

  async run(): Promise<StartedWithMetrics> {
    const { flags } = await this.parse(JobStart);
    const { runJobStart } = await import('../../lib/prolog/commands.ts');
    return runJobStart(flags, { json: this.jsonEnabled(), note: (line) => this.logToStderr(line) });
  }
}
