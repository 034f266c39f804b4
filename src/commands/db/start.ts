import { KwCommand } from '../../command.ts';
import { dataFolder } from '../../lib/dataFolder.ts';

/** kw db start */
export default class DbStart extends KwCommand {
  static override summary = 'start the embedded database, making it if there is none';
  static override description =
    'A real PostgreSQL for trial and for single machines, in the data folder (KW_DATA_DIR, else ~/.local/share/kw). ' +
    'It runs until kw db stop, whatever becomes of the command that started it, and listens on a private socket only.';
  static override examples = ['<%= config.bin %> db start', '<%= config.bin %> db start --json'];
  static override enableJsonFlag = true;

  async run(): Promise<{ running: true; adopted: boolean; label: string; pid: number | undefined }> {
    await this.parse(DbStart);
    const { embeddedStatus, startEmbedded } = await import('../../lib/database/embedded/server.ts');
    const folder = dataFolder();
    const server = await startEmbedded(folder);
    const { pid } = embeddedStatus(folder);
    this.logToStderr(`${server.adopted ? 'running already' : 'started'}: ${server.label} (process ${pid})`);
    return { running: true, adopted: server.adopted, label: server.label, pid };
  }
}
