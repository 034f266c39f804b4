import { Args, Flags } from '@oclif/core';
import { KwCommand } from '../command.ts';
import { settingsFlags } from '../lib/config/flags.ts';
import { timeoutFlag } from '../lib/jobs/prolog.ts';
import { deviceFlag, jobFlag } from '../lib/promotions/flags.ts';

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
    timeout: timeoutFlag,
    ...settingsFlags,
  };
  static override enableJsonFlag = true;

  async run(): Promise<{ disabled: number }> {
    const { args, flags } = await this.parse(Disable);
    const { withBoundedClient } = await import('../lib/jobs/prolog.ts');
    const { readTarget } = await import('../lib/promotions/flags.ts');
    const { disableMetrics } = await import('../lib/promotions/enable.ts');
    const request = { pattern: args.pattern, target: await readTarget(flags) };
    const disabled = await withBoundedClient(
      { ...flags, consequence: 'it is not known whether anything was disabled', json: this.jsonEnabled() },
      (client) => disableMetrics(client, request),
    );
    this.logToStderr(
      disabled === 0
        ? 'nothing was enabled there'
        : `disabled ${disabled} ${disabled === 1 ? 'pattern' : 'patterns'} (each device counted)`,
    );
    return { disabled };
  }
}
