import { Args, Flags } from '@oclif/core';
import { KwCommand } from '../cli/command.ts';
import { remoteFlags } from '../lib/config/flags.ts';
import { loadSettings } from '../lib/config/settings.ts';
import type { PushReport } from '../lib/push/push.ts';

/** kw push */
export default class Push extends KwCommand {
  static override summary = 'store values of your own, one or many';
  static override description =
    'One value from the command line, or many from --file or standard input: one JSON object a line, CSV with a header ' +
    '(timestamp, device_id, metric_id, value, labels, label.NAME), or Prometheus text. Lines may leave out whatever ' +
    'METRIC, --device, --at and --label say. Lines that cannot be stored are told with their number, the others are ' +
    'stored; the exit code is 1 if there was any. What was pushed can be taken back with kw delete. ' +
    'With --spool values outlive an outage of the database or server.';
  static override examples = [
    '<%= config.bin %> push my_metric_watt 42',
    '<%= config.bin %> push my_metric_watt 42 --device node-1 --at 2026-11-22T10:00:00+01:00 --label run=3',
    '<%= config.bin %> push --file results.csv --all-or-nothing',
    '<%= config.bin %> push --label run=3 < results.ndjson',
    'measure | <%= config.bin %> push --spool',
  ];
  static override enableJsonFlag = true;
  static override args = {
    // Or else oclif would take standard input for a missing argument.
    metric: Args.string({
      ignoreStdin: true,
      description: 'name of the metric; with --file or standard input for lines that name none',
    }),
    value: Args.string({ ignoreStdin: true, description: 'a number' }),
  };
  static override flags = {
    device: Flags.string({
      description: 'device that the values belong to; this machine if not given',
      helpValue: 'NAME',
    }),
    at: Flags.string({
      description: 'time of the value: ISO 8601, epoch seconds, -2h, now',
      helpValue: 'TIME',
    }),
    label: Flags.string({
      description: 'label of the values, may be repeated',
      helpValue: 'NAME=TEXT',
      multiple: true,
      multipleNonGreedy: true,
    }),
    file: Flags.string({ description: 'read values from this file; - is standard input', helpValue: 'FILE' }),
    format: Flags.string({
      description: 'form of the input, if it cannot be told from its first line',
      options: ['ndjson', 'csv', 'prometheus', 'openmetrics'],
    }),
    'all-or-nothing': Flags.boolean({
      description: 'store nothing if there is any bad line',
      // What the database refuses is known when it is back, and then it is too late to ask.
      exclusive: ['spool'],
    }),
    spool: Flags.boolean({
      description:
        'keep values on the disk until they are stored: the command succeeds while the database or server is away, and the next one sends what waits',
    }),
    tz: Flags.string({ description: 'time zone of times without an offset', helpValue: 'ZONE' }),
    ...remoteFlags,
  };

  async run(): Promise<PushReport> {
    const { args, flags } = await this.parse(Push);
    const [{ withPushStore }, { readPushRequest }, { PushProgress }] = await Promise.all([
      import('../lib/remote/reach.ts'),
      import('../lib/push/request.ts'),
      import('../lib/push/progress.ts'),
    ]);
    const settings = loadSettings(flags);
    const request = readPushRequest({
      ...args,
      ...flags,
      allOrNothing: flags['all-or-nothing'],
      spool: flags.spool,
      timeZone: flags.tz ?? settings.timeZone,
    });
    const progress = new PushProgress(process.stderr, flags.spool ? 'kept' : 'stored');
    // The first signal stores what was read and says how far that goes; a second one ends the process.
    const interrupt = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupt.abort(signal));
    try {
      const report = flags.spool
        ? await (await import('../lib/remote/pushSpool.ts')).pushThroughSpool(
            settings,
            request,
            progress,
            interrupt.signal,
          )
        : await withPushStore(settings, (store) => request.push(store, progress, interrupt.signal));
      progress.end(report, { allOrNothing: flags['all-or-nothing'] });
      if (report.refused > 0) process.exitCode = 1;
      return report;
    } finally {
      progress.stop();
    }
  }
}
