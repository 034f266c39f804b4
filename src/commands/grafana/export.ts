import { Args, Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';

/** kw grafana export */
export default class GrafanaExport extends KwCommand {
  static override summary = 'write dashboards for Grafana, and the provisioning that makes it find them';
  static override description =
    'For Grafana 11 and later, with its PostgreSQL data source. Host, port and name of the database are those of the ' +
    'settings; its login and password are not written: Grafana gets a login of its own that may only read, and its ' +
    'password from the environment variable KW_GRAFANA_PASSWORD. Nothing is asked of the database.';
  static override examples = [
    '<%= config.bin %> grafana export /etc/grafana/kw',
    '<%= config.bin %> grafana export ./grafana --database postgres://db.example.org/kw --datasource "kw nancy"',
  ];
  static override enableJsonFlag = true;
  static override args = {
    DIR: Args.string({ description: 'folder to write to; made if it is not there', required: true }),
  };
  static override flags = {
    ...settingsFlags,
    datasource: Flags.string({
      description: 'name of the data source: that of the site, and it begins with kw',
      default: 'kw',
      helpValue: 'NAME',
    }),
    user: Flags.string({
      description: "Grafana's login in the database",
      default: 'kw_grafana',
      helpValue: 'ROLE',
    }),
    timescaledb: Flags.boolean({
      description: 'whether the database has TimescaleDB, for the query builder of Grafana',
      default: true,
      allowNo: true,
    }),
    force: Flags.boolean({ description: 'replace files that are there' }),
  };

  async run(): Promise<unknown> {
    const { args, flags } = await this.parse(GrafanaExport);
    const { loadSettings } = await import('../../lib/config/settings.ts');
    const { exportGrafana } = await import('../../lib/grafana/export.ts');
    const { databaseUrl } = loadSettings(flags);
    const files = await exportGrafana({ ...flags, folder: args.DIR, databaseUrl });
    for (const file of files) this.log(file);
    const datasources = files.find((file) => file.endsWith('datasources/kw.yaml'));
    if (databaseUrl === undefined) {
      this.logToStderr(`no database is set here: write url, database and sslmode into ${datasources}`);
    }
    const provisioning = datasources?.replace(/\/datasources\/kw\.yaml$/, '');
    const next =
      `make the login ${flags.user} as ${datasources} says, put its password into KW_GRAFANA_PASSWORD, and ` +
      `start Grafana with GF_PATHS_PROVISIONING=${provisioning}`;
    this.logToStderr(next);
    return { files, datasource: flags.datasource, database_known: databaseUrl !== undefined, next };
  }
}
