import { Args, Flags } from '@oclif/core';
import { KwCommand } from '../cli/command.ts';
import { remoteFlags } from '../lib/config/flags.ts';
import { loadSettings } from '../lib/config/settings.ts';

interface DeleteReport {
  /** Values that match. */
  readonly values: number;
  readonly deleted: boolean;
}

/** kw delete */
export default class Delete extends KwCommand {
  static override summary = 'delete values that you pushed';
  static override description =
    'Counts the values of a metric that you pushed yourself, and deletes them with --yes. Values of others and of ' +
    'collectors are never touched.';
  static override examples = [
    '<%= config.bin %> delete my_metric_watt --device node-1 --from 2026-11-22 --label run=3',
    '<%= config.bin %> delete my_metric_watt,my_other_metric --from -2h --yes',
  ];
  static override enableJsonFlag = true;
  static override args = {
    metric: Args.string({
      ignoreStdin: true,
      description: 'names of metrics, separated by commas',
      required: true,
    }),
  };
  static override flags = {
    device: Flags.string({
      description: 'of these devices only: names separated by commas',
      helpValue: 'NAME,...',
    }),
    from: Flags.string({ description: 'from this time on', helpValue: 'TIME' }),
    to: Flags.string({ description: 'up to this time', helpValue: 'TIME' }),
    label: Flags.string({
      description: 'values with this label only, may be repeated',
      helpValue: 'NAME=TEXT',
      multiple: true,
      multipleNonGreedy: true,
    }),
    tz: Flags.string({ description: 'time zone of times without an offset', helpValue: 'ZONE' }),
    yes: Flags.boolean({ description: 'delete, instead of counting' }),
    ...remoteFlags,
  };

  async run(): Promise<DeleteReport> {
    const { args, flags } = await this.parse(Delete);
    const [{ runCall }, { deleteCall }, { parseLabelFlags }, { nowUs, parseTimeUs }] = await Promise.all([
      import('../lib/remote/reach.ts'),
      import('../lib/remote/calls.ts'),
      import('../lib/push/request.ts'),
      import('../lib/time.ts'),
    ]);
    const settings = loadSettings(flags);
    const context = { nowUs: nowUs(), timeZone: flags.tz ?? settings.timeZone };
    const time = (text: string | undefined) => (text === undefined ? undefined : parseTimeUs(text, context));
    const names = (text: string) => text.split(',').filter((name) => name !== '');
    const selection = {
      metrics: names(args.metric),
      devices: flags.device === undefined ? undefined : names(flags.device),
      fromUs: time(flags.from),
      toUs: time(flags.to),
      labels: parseLabelFlags(flags.label),
    };
    const values = await runCall(settings, deleteCall, { ...selection, dryRun: !flags.yes });
    const what = `${values} ${values === 1 ? 'value' : 'values'} that you pushed`;
    if (flags.yes) this.logToStderr(`deleted ${what}`);
    else if (values === 0) this.logToStderr('no values that you pushed match');
    else this.logToStderr(`${what} would be deleted; add --yes to do it`);
    return { values, deleted: flags.yes };
  }
}
