import { Args, Flags } from '@oclif/core';
import { KwCommand } from '../../../cli/command.ts';
import { settingsFlags } from '../../../lib/config/flags.ts';
import type { AddedSource } from '../../../lib/jobs/sources/addSource.ts';

/** kw job source add */
export default class JobSourceAdd extends KwCommand {
  static override summary = "read the jobs of a scheduler: OAR's database, or a view of the site's own";
  static override description =
    "The tables of OAR's database become foreign tables in the schema of the source's name; they are read live, " +
    'by the database server and not by this machine. The password is kept in the user mapping of the database and ' +
    'nowhere else; leave it out of the URL and set PGPASSWORD to keep it out of the list of processes too. ' +
    'Needs a superuser of the database, or kw_admin where postgres_fdw is prepared (docs/jobs/oar.md).';
  static override examples = [
    '<%= config.bin %> job source add oar postgres://oarreader@oar.example:5432/oar2',
    '<%= config.bin %> job source add oar postgres://oarreader@oar.example/oar2 --node-map nodes.map --replace',
    '<%= config.bin %> job source add pbs --view site.jobs',
  ];
  static override args = {
    name: Args.string({ description: 'name of the source, as in --job oar:1234', required: true }),
    url: Args.string({
      description: "OAR's database, as the database server of kw reaches it",
      required: false,
    }),
  };
  static override flags = {
    view: Flags.string({
      description: "a view or table of this database with the site's jobs, such as site.jobs",
      helpValue: 'SCHEMA.NAME',
    }),
    'node-map': Flags.file({
      helpValue: 'FILE',
      description: 'file with lines `node device`, where cutting node names at the first dot does not do',
      exists: true,
    }),
    'keep-domain': Flags.boolean({ description: 'devices have the full names of nodes, with their domain' }),
    replace: Flags.boolean({ description: 'take the place of a source of that name; its jobs are kept' }),
    ...settingsFlags,
  };
  static override enableJsonFlag = true;

  async run(): Promise<AddedSource> {
    const { args, flags } = await this.parse(JobSourceAdd);
    const [{ withClient }, { loadSettings }, { checkSchema }, { addSource, checkSourceName, readOrigin }] =
      await Promise.all([
        import('../../../lib/database/resolve.ts'),
        import('../../../lib/config/settings.ts'),
        import('../../../lib/database/migrate.ts'),
        import('../../../lib/jobs/sources/addSource.ts'),
      ]);
    const { readNodeMap } = await import('../../../lib/jobs/sources/nodeMap.ts');
    checkSourceName(args.name);
    const source = {
      name: args.name,
      from: readOrigin(args.url, flags.view, process.env.PGPASSWORD),
      nodes: flags['node-map'] === undefined ? new Map<string, string>() : readNodeMap(flags['node-map']),
      keepDomain: flags['keep-domain'],
      replace: flags.replace,
    };
    const added = await withClient(loadSettings(flags), async (client) => {
      await checkSchema(client);
      return addSource(client, source);
    });
    const { runningJobs, tookMs } = added;
    this.logToStderr(
      `the jobs of ${added.name} are read; ${runningJobs} ${runningJobs === 1 ? 'runs' : 'run'} now (asked in ${Math.round(tookMs)} ms)`,
    );
    return added;
  }
}
