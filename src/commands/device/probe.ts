import { Args, Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';

export default class DeviceProbe extends KwCommand {
  static override summary = 'read one URL once, and say everything about it';

  static override description =
    'Reads a device as the collector would, without storing anything: what the URL was resolved to, value, type, ' +
    'timestamp, duration and problems. The URL has the form of the metric files; quote it for the shell. ' +
    'Exits with 1 when nothing could be read.';

  static override examples = [
    "<%= config.bin %> <%= command.id %> 'snmp://public@pdu-1/1.3.6.1.2.1.1.3.0'",
    "<%= config.bin %> <%= command.id %> 'snmp://public@switch-1/1.3.6.1.2.1.31.1.1.1.6.{{ 1.3.6.1.2.1.31.1.1.1.1 == eth0 }}'",
    "<%= config.bin %> <%= command.id %> 'snmp://kw@pdu-2/1.3.6.1.2.1.1.3.0?version=3&auth=sha256&auth_key=${env:SNMP_KEY}'",
    "<%= config.bin %> <%= command.id %> 'prometheus://node-1:9100/node_load1' --timeout 2s --json",
    "<%= config.bin %> <%= command.id %> 'snmp://public@pdu-1/1.3.6.1.2.1.1.3.0' --verbose",
  ];

  static override args = {
    url: Args.string({ description: 'what to read, as in a metric file', required: true }),
  };

  static override flags = {
    timeout: Flags.string({ description: 'longest time to wait', default: '5s', helpValue: 'DURATION' }),
    device: Flags.string({ description: 'device name, instead of the host of the URL', helpValue: 'NAME' }),
    verbose: Flags.boolean({
      char: 'v',
      description: 'tell each step with its time on standard error: resolve, open, authenticate, read',
    }),
    credential: Flags.string({ description: 'named credential of kw.yaml to read with', helpValue: 'NAME' }),
    config: settingsFlags.config,
  };

  static override enableJsonFlag = true;

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(DeviceProbe);
    const { urlContext } = await import('../../lib/config/credentials.ts');
    const { loadSettings } = await import('../../lib/config/settings.ts');
    const { formatProbe, formatStep, probe } = await import('../../lib/devices/probe.ts');
    const { parseDurationMs } = await import('../../lib/time.ts');
    const settings = loadSettings({ config: flags.config });
    const report = await probe(args.url, {
      urlContext: urlContext(settings, process.cwd(), flags.credential),
      dataFolder: settings.dataFolder,
      timeoutMs: parseDurationMs(flags.timeout),
      deviceId: flags.device,
      onStep: flags.verbose ? (step) => this.logToStderr(formatStep(step)) : undefined,
    });
    this.log(formatProbe(report));
    if (report.samples.length === 0) process.exitCode = 1;
    return report;
  }
}
