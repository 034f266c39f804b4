import { KwCommand } from '../../command.ts';
import { dataFolder } from '../../lib/dataFolder.ts';

/** kw db stop */
export default class DbStop extends KwCommand {
  static override summary = 'stop the embedded database';
  static override description =
    'Its clients are disconnected and everything is on disk when the command returns. Nothing is deleted. ' +
    'It is no failure if none runs.';
  static override examples = ['<%= config.bin %> db stop'];
  static override enableJsonFlag = true;

  async run(): Promise<{ stopped: boolean }> {
    await this.parse(DbStop);
    const { stopEmbedded } = await import('../../lib/database/embedded/server.ts');
    const stopped = await stopEmbedded(dataFolder());
    this.logToStderr(stopped ? 'the embedded database is stopped' : 'no embedded database was running');
    return { stopped };
  }
}
