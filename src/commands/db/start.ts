import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';

interface Result {
  readonly running: true;
  readonly adopted: boolean;
  readonly label: string;
  readonly pid: number | undefined;
  readonly migrations: readonly string[];
}

/** kw db start */
export default class DbStart extends KwCommand {
  static override summary = 'start the embedded database, making it if there is none';
  static override description =
    'A real PostgreSQL for trial and for single machines, in the data folder (KW_DATA_DIR, else ~/.local/share/kw). ' +
    'It runs until kw db stop, whatever becomes of the command that started it, and listens on a private socket only. ' +
    'Its schema is brought up to this version of kw.';
  static override examples = ['<%= config.bin %> db start', '<%= config.bin %> db start --json'];
  static override enableJsonFlag = true;
  static override flags = { config: settingsFlags.config };

  async run(): Promise<Result> {
    const { flags } = await this.parse(DbStart);
    const { loadSettings } = await import('../../lib/config/settings.ts');
    const { embeddedStatus, migrateEmbedded, startEmbedded } = await import(
      '../../lib/database/embedded/server.ts'
    );
    const { dataFolder } = loadSettings(flags);
    const server = await startEmbedded(dataFolder, { migrate: false });
    const migrations = await migrateEmbedded(server);
    const { pid } = embeddedStatus(dataFolder);
    this.logToStderr(`${server.adopted ? 'running already' : 'started'}: ${server.label} (process ${pid})`);
    if (migrations.length > 0) this.logToStderr(`migrated: ${migrations.join(', ')}`);
    return { running: true, adopted: server.adopted, label: server.label, pid, migrations };
  }
}
