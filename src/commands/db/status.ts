import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';
import { loadSettings } from '../../lib/config/settings.ts';
import type { DatabaseStatus } from '../../lib/database/status.ts';

/** kw db status */
export default class DbStatus extends KwCommand {
  static override summary = 'show which database is used, how large it is and what it keeps';
  static override description =
    'Starts nothing: an embedded database that is stopped is only named. For what is wrong, see kw db doctor.';
  static override examples = ['<%= config.bin %> db status', '<%= config.bin %> db status --json'];
  static override enableJsonFlag = true;
  static override flags = { ...settingsFlags };

  async run(): Promise<{ running: boolean; label: string; status: DatabaseStatus | undefined }> {
    const { flags } = await this.parse(DbStatus);
    const settings = loadSettings(flags);
    const [
      { withClient },
      { checkSchema },
      { formatBytes, readStatus },
      { formatRetention },
      { embeddedStatus },
    ] = await Promise.all([
      import('../../lib/database/resolve.ts'),
      import('../../lib/database/migrate.ts'),
      import('../../lib/database/status.ts'),
      import('../../lib/database/retention.ts'),
      import('../../lib/database/embedded/server.ts'),
    ]);
    if (!settings.databaseUrl) {
      const embedded = embeddedStatus(settings.dataFolder);
      if (embedded.exists && !embedded.running) {
        this.log(`database     embedded, in ${embedded.home}: stopped`);
        this.logToStderr('start it with kw db start');
        return { running: false, label: `embedded PostgreSQL in ${embedded.home}`, status: undefined };
      }
    }
    return withClient(settings, async (client, target) => {
      const status = await readStatus(client, await checkSchema(client));
      const show = (name: string, text: string) => this.log(`${name.padEnd(13)}${text}`);
      show('database', target.label);
      show('server', `${status.server}${status.timescaledb ? `, TimescaleDB ${status.timescaledb}` : ''}`);
      show('schema', `${status.schema} (${status.flavour})`);
      show('size', formatBytes(status.databaseBytes));
      const pieces =
        status.flavour === 'plain' ? 'daily partitions' : `chunks of ${status.chunkIntervalMs / 3_600_000} h`;
      const since = status.oldest ? `, since ${status.oldest} UTC` : '';
      show(
        'raw values',
        `about ${Math.round(status.rows)} in ${formatBytes(status.rawBytes)}, ${status.chunks} ${pieces}${since}`,
      );
      show('summary', formatBytes(status.summaryBytes));
      show('compression', compressionLine(status, formatBytes));
      show(
        'retention',
        `raw values ${formatRetention(status.retention.rawMs)}, summary ${formatRetention(status.retention.summaryMs)}`,
      );
      return { running: true, label: target.label, status };
    });
  }
}

function compressionLine({ compression }: DatabaseStatus, formatBytes: (bytes: number) => string): string {
  if (!compression) return 'none: this is plain PostgreSQL without TimescaleDB';
  if (compression.chunks === 0) return 'on, after 24 h; no chunk is that old yet';
  const { chunks, beforeBytes, afterBytes } = compression;
  return `${chunks} chunks, ${formatBytes(beforeBytes)} -> ${formatBytes(afterBytes)}`;
}
