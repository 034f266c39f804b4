import { Args } from '@oclif/core';
import { KwCommand } from '../../../cli/command.ts';
import { settingsFlags } from '../../../lib/config/flags.ts';

/** kw job source remove */
export default class JobSourceRemove extends KwCommand {
  static override summary = 'read the jobs of a scheduler no more';
  static override description =
    'Jobs that were seen while they ran are kept, with their nodes and times; what is enabled for running ones ends.';
  static override examples = ['<%= config.bin %> job source remove oar'];
  static override args = {
    name: Args.string({ description: 'name of the source', required: true }),
  };
  static override flags = { ...settingsFlags };
  static override enableJsonFlag = true;

  async run(): Promise<{ name: string }> {
    const { args, flags } = await this.parse(JobSourceRemove);
    const [{ withClient }, { loadSettings }, { removeSource }] = await Promise.all([
      import('../../../lib/database/resolve.ts'),
      import('../../../lib/config/settings.ts'),
      import('../../../lib/jobs/sources/addSource.ts'),
    ]);
    await withClient(loadSettings(flags), (client) => removeSource(client, args.name));
    this.logToStderr(`the jobs of ${args.name} are read no more`);
    return { name: args.name };
  }
}
