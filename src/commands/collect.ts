import { Flags } from '@oclif/core';
import { KwCommand } from '../cli/command.ts';
import { settingsFlags } from '../lib/config/flags.ts';
import { loadSettings } from '../lib/config/settings.ts';

/** kw collect */
export default class Collect extends KwCommand {
  static override summary = 'read the configured devices and store every value';
  static override description =
    'Reads what metrics.d/*.yaml names, each metric at its period, and stores it in the database; values wait while the ' +
    'database is away. Optional metrics are read while they are enabled (kw enable). A changed file or SIGHUP reloads the ' +
    'configuration. Ctrl-C stops reading, writes what was read and ends; a second one ends at once. ' +
    'SIGUSR2 has a new process take over without a missed interval, for a new version of kw; --take-over does that by hand. ' +
    'Without a configured database the embedded one is started. --dry-run --once exits with 1 when nothing could be read.';
  static override examples = [
    '<%= config.bin %> collect',
    '<%= config.bin %> collect --dry-run --once --only pdu-1',
    '<%= config.bin %> collect --dry-run --json | jq .value',
    '<%= config.bin %> collect --take-over',
    '<%= config.bin %> collect --config /etc/kwollect/kw.yaml',
  ];
  static override flags = {
    once: Flags.boolean({ description: 'read everything once and end' }),
    'dry-run': Flags.boolean({ description: 'print what would be stored, and store nothing' }),
    json: Flags.boolean({
      description: 'with --dry-run: print one JSON object a line',
      relationships: [{ type: 'all', flags: ['dry-run'] }],
    }),
    'take-over': Flags.boolean({
      description: 'go on for the collector that runs, without a missed interval',
      exclusive: ['once', 'dry-run'],
    }),
    only: Flags.string({
      description: 'read only this device (may be given several times)',
      helpValue: 'DEVICE',
      multiple: true,
      multipleNonGreedy: true,
    }),
    ...settingsFlags,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Collect);
    const settings = loadSettings(flags);
    const [{ makeLogger }, { loadEntries }] = await Promise.all([
      import('../lib/logger.ts'),
      import('../lib/collector/entries.ts'),
    ]);
    const logger = await makeLogger({ level: settings.logLevel });
    const load = () => loadEntries(loadSettings(flags), flags.only, (warning) => logger.warn(warning));
    const entries = load();
    if (flags['dry-run']) {
      const { printDryRun } = await import('../lib/collector/dryRun.ts');
      await printDryRun({ entries, settings, once: flags.once, json: flags.json }, this);
      return;
    }
    const [{ collectorDatabase }, { runDaemon }] = await Promise.all([
      import('../lib/collector/database.ts'),
      import('../lib/collector/daemon.ts'),
    ]);
    const database = await collectorDatabase(settings, logger);
    const { version } = this.config;
    const { once, 'take-over': takeOver } = flags;
    const apart = flags.only !== undefined;
    await runDaemon({
      settings,
      entries,
      database,
      logger,
      version,
      once,
      takeOver,
      apart,
      loadEntries: load,
    });
  }
}
