import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';
import { loadSettings } from '../../lib/config/settings.ts';

/** kw collect wattmetre */
export default class CollectWattmetre extends KwCommand {
  static override summary = 'store the frames of a wattmeter that come on standard input';
  static override description =
    'Reads the lines of wattmetre-read, of both formats, until the end of the input. Stores the mean of each second as ' +
    'wattmetre_power_watt of the devices ID-port0, ID-port1 and so on, and every frame while that metric is enabled ' +
    '(kw enable). The mapping says which node is at which port: lines such as "node-1: [wattmetre1-port3]"; a changed ' +
    'file is read again. Ctrl-C writes what was read and ends. To have kw start the reader and start it again, name it ' +
    'in a metric file instead (wattmetre+exec://).';
  static override examples = [
    'wattmetre-read /dev/ttyUSB0 42 20 | <%= config.bin %> <%= command.id %> --id wattmetre1 --mapping /etc/kwollect/mapping.yaml',
    'wattmetre-read /dev/ttyUSB0 42 20 | <%= config.bin %> <%= command.id %> --id wattmetre1 --dry-run',
  ];
  static override flags = {
    id: Flags.string({
      description: 'name of the wattmeter; its ports are ID-port0 and so on',
      required: true,
      helpValue: 'ID',
    }),
    mapping: Flags.string({
      description: 'YAML file that says which node is at which port',
      helpValue: 'FILE',
    }),
    'dry-run': Flags.boolean({ description: 'print what would be stored, and store nothing' }),
    json: Flags.boolean({
      description: 'with --dry-run: print one JSON object a line',
      relationships: [{ type: 'all', flags: ['dry-run'] }],
    }),
    ...settingsFlags,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(CollectWattmetre);
    const settings = loadSettings(flags);
    const { wattmeterEntry } = await import('../../lib/collector/wattmeterInput.ts');
    const entries = [await wattmeterEntry(flags.id, flags.mapping, process.stdin)];
    if (flags['dry-run']) {
      const { printDryRun } = await import('../../lib/collector/dryRun.ts');
      await printDryRun({ entries, settings, once: false, json: flags.json }, this);
      return;
    }
    const [{ makeLogger }, { collectorDatabase }, { runDaemon }] = await Promise.all([
      import('../../lib/logger.ts'),
      import('../../lib/collector/database.ts'),
      import('../../lib/collector/daemon.ts'),
    ]);
    const logger = await makeLogger({ level: settings.logLevel });
    await runDaemon({
      settings: { ...settings, listen: undefined, collector: { ...settings.collector, name: flags.id } },
      entries,
      database: await collectorDatabase(settings, logger),
      logger,
      version: this.config.version,
      once: false,
      identityName: `collector-${encodeURIComponent(flags.id)}`,
      untilStreamsEnd: true,
    });
  }
}
