import { Flags } from '@oclif/core';
import { KwCommand } from '../cli/command.ts';
import { settingsFlags } from '../lib/config/flags.ts';

/** kw serve */
export default class Serve extends KwCommand {
  static override summary = 'answer over HTTP: the API of Kwollect, and more';
  static override description =
    'Serves the metrics of the database with the API of Kwollect, streaming, to clients such as curl and EnOSlib. Who may ' +
    'what is decided in the database by tokens. It listens on the loopback interface unless told otherwise. Ctrl-C lets ' +
    'running answers finish; a second one ends at once.';
  static override examples = [
    '<%= config.bin %> serve',
    '<%= config.bin %> serve --listen 0.0.0.0:8080',
    '<%= config.bin %> serve --config /etc/kwollect/kw.yaml',
  ];
  static override flags = {
    listen: Flags.string({
      description: 'address and port; default server.listen of kw.yaml, else 127.0.0.1:9843',
      helpValue: 'HOST:PORT',
    }),
    json: Flags.boolean({ description: 'print {"url": ...} on stdout when requests are taken' }),
    ...settingsFlags,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Serve);
    const { serveSettings } = await import('../lib/server/settings.ts');
    const settings = serveSettings(flags);
    const [{ makeLogger }, { resolveDatabase }, { runServer }] = await Promise.all([
      import('../lib/logger.ts'),
      import('../lib/database/resolve.ts'),
      import('../lib/server/daemon.ts'),
    ]);
    const logger = await makeLogger({ level: settings.logLevel });
    const { databaseUrl, databaseNamedBy, dataFolder } = settings;
    const database = await resolveDatabase({ databaseUrl, databaseNamedBy, dataFolder });
    await runServer({
      settings,
      database,
      logger,
      version: this.config.version,
      onListening: (url) => {
        if (flags.json) process.stdout.write(`${JSON.stringify({ url })}\n`);
      },
    });
  }
}
