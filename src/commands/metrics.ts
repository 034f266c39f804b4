import { Flags } from '@oclif/core';
import { KwCommand } from '../cli/command.ts';
import { remoteFlags } from '../lib/config/flags.ts';
import { deviceFlags } from '../lib/metrics/flags.ts';
import type { ListedMetric } from '../lib/metrics/listMetrics.ts';

/** kw metrics */
export default class Metrics extends KwCommand {
  static override summary = 'list metrics: what is read, what could be enabled, last values and their age';
  static override description =
    'Without --device and --job one line for each metric, with them one for each metric of each device. ' +
    'read says how: always, enabled (optional, and somebody enabled it), optional (kw enable has it read), ' +
    'pushed (not by a collector). Metrics of an optional Prometheus page are enabled as the name of its entry. With a job that has ended, ages count back from its end.';
  static override examples = [
    '<%= config.bin %> metrics',
    '<%= config.bin %> metrics --job 1234',
    "<%= config.bin %> metrics --device node-1 --metric 'prom_node_*' --json",
    '<%= config.bin %> metrics --job current --available',
  ];
  static override flags = {
    ...deviceFlags,
    enabled: Flags.boolean({
      description: 'only optional metrics that are enabled',
      exclusive: ['available'],
    }),
    available: Flags.boolean({
      description: 'only optional metrics that could be enabled',
      exclusive: ['enabled'],
    }),
    ...remoteFlags,
  };
  static override enableJsonFlag = true;

  async run(): Promise<unknown> {
    const { flags } = await this.parse(Metrics);
    const { loadSettings } = await import('../lib/config/settings.ts');
    const { runCall } = await import('../lib/remote/reach.ts');
    const { metricsCall } = await import('../lib/remote/calls.ts');
    const { jobTexts } = await import('../lib/metrics/flags.ts');
    const { formatAge } = await import('../lib/time.ts');
    const settings = loadSettings(flags);
    const request = { jobs: await jobTexts(flags.job), devices: flags.device, metrics: flags.metric };
    const list = await runCall(settings, metricsCall, request);
    const metrics = list.metrics.filter(
      ({ state }) => (!flags.enabled || state === 'enabled') && (!flags.available || state === 'optional'),
    );
    if (this.jsonEnabled()) return { metrics: metrics.map(jsonOf) };
    if (metrics.length === 0) {
      this.logToStderr(
        list.metrics.length === 0
          ? `no metrics: no collector is configured to read any here, and no values came in the last ${formatAge(list.lookBackUs)}`
          : `none of ${list.metrics.length} metrics is ${flags.enabled ? 'enabled: see kw metrics --available' : 'optional and not enabled'}`,
      );
      return undefined;
    }
    const { metricOverview, metricTable } = await import('../lib/output/metricTable.ts');
    const detailed = flags.device !== undefined || flags.job !== undefined;
    const { terminalWidth } = await import('../lib/output/fit.ts');
    const width = terminalWidth(process.stdout);
    process.stdout.write((detailed ? metricTable : metricOverview)(metrics, list.atUs, width));
    return undefined;
  }
}

function jsonOf(metric: ListedMetric): object {
  const { device, metric: name, lastUs, lastValue, ...others } = metric;
  const finite = lastValue !== undefined && Number.isFinite(lastValue);
  return { deviceId: device, metricId: name, ...others, lastUs, lastValue: finite ? lastValue : undefined };
}
