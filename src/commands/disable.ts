import { Args, Flags } from '@oclif/core';
import { KwCommand } from '../cli/command.ts';
import { remoteFlags } from '../lib/config/flags.ts';
import { jobFlag } from '../lib/jobs/flags.ts';
import { deviceFlag, timeoutFlag } from '../lib/prolog/flags.ts';
import type { Disabled } from '../lib/promotions/enable.ts';

/** kw disable */
export default class Disable extends KwCommand {
  static override summary = 'take back what kw enable did';
  static override description =
    'By device, what was enabled for jobs stays; by job, what was enabled for other jobs and by device stays. ' +
    'A metric is read as long as anybody has it enabled.';
  static override examples = [
    "<%= config.bin %> disable 'wattmetre.*' --job 1234",
    '<%= config.bin %> disable --device node-1,node-2',
    '<%= config.bin %> disable --all',
  ];
  static override args = {
    pattern: Args.string({ description: 'as it was enabled; all patterns if left out' }),
  };
  static override flags = {
    device: Flags.string({ ...deviceFlag, exactlyOne: ['device', 'job', 'all'] }),
    job: Flags.string(jobFlag),
    all: Flags.boolean({ description: 'everything that you enabled, for jobs too' }),
    timeout: Flags.string(timeoutFlag),
    ...remoteFlags,
  };
  static override enableJsonFlag = true;

  async run(): Promise<Disabled> {
    const { args, flags } = await this.parse(Disable);
    const { runDisable } = await import('../lib/prolog/commands.ts');
    return runDisable(args.pattern, flags, {
      json: this.jsonEnabled(),
      note: (line) => this.logToStderr(line),
    });
  }
}
