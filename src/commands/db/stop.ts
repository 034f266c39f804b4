import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';

/** kw db stop */
export default class DbStop extends KwCommand {
  static override summary = 'stop the embedded database';
  static override description =
    'Its clients are disconnected, and everything is on disk when the command returns. Nothing is deleted. ' +
    'It is no failure if none runs.';
  static override examples = ['<%= config.bin %> db stop'];
  static override enableJsonFlag = true;
  static override flags = { config: settingsFlags.config };

  async run(): Promise<{ stopped: boolean }> {
    const { flags } = await this.parse(DbStop);
    const { loadSettings } = await import('../../lib/config/settings.ts');
    const { stopEmbedded } = await import('../../lib/database/embedded/server.ts');
    const stopped = await stopEmbedded(loadSettings(flags).dataFolder);
    this.logToStderr(stopped ? 'the embedded database is stopped' : 'no embedded database was running');
    return { stopped };
  }
}
