import { Args, Flags } from '@oclif/core';
import { KwCommand } from '../cli/command.ts';
import { remoteFlags } from '../lib/config/flags.ts';
import { jobFlag } from '../lib/jobs/flags.ts';
import { deviceFlag, timeoutFlag } from '../lib/prolog/flags.ts';
import type { Enabled } from '../lib/promotions/enable.ts';

/** kw enable */
export default class Enable extends KwCommand {
  static override summary = 'have optional metrics read, on some devices or for a job';
  static override description =
    'Metrics marked optional are read only while they are enabled; collectors follow within a second. ' +
    'The pattern is a regular expression, anchored at its start only, and may fit several metrics. ' +
    'By device it ends after 24 hours unless --for says otherwise, with --job when the job ends. ' +
    'Without a terminal, as in a prolog, the command gives up after one second.';
  static override examples = [
    "<%= config.bin %> enable 'wattmetre.*' --job 1234",
    '<%= config.bin %> enable bmc_temp --device node-1,node-2 --for 2h',
    '<%= config.bin %> enable wattmetre_power_watt --job current --timeout 500ms',
  ];
  static override args = {
    pattern: Args.string({ description: 'regular expression of metric names', required: true }),
  };
  static override flags = {
    device: Flags.string({ ...deviceFlag, exactlyOne: ['device', 'job'] }),
    job: Flags.string(jobFlag),
    for: Flags.string({ description: 'how long, such as 30m or 2h', helpValue: 'DURATION' }),
    force: Flags.boolean({ description: 'even if no collector is configured to read such a metric' }),
    timeout: Flags.string(timeoutFlag),
    ...remoteFlags,
  };
  static override enableJsonFlag = true;

  async run(): Promise<Enabled> {
    const { args, flags } = await this.parse(Enable);
    const { runEnable } = await import('../lib/prolog/commands.ts');
    return runEnable(args.pattern, flags, {
      json: this.jsonEnabled(),
      note: (line) => this.logToStderr(line),
    });
  }
}
