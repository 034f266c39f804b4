import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';
import { loadSettings } from '../../lib/config/settings.ts';
import type { Finding } from '../../lib/database/doctor.ts';

/** kw db doctor */
export default class DbDoctor extends KwCommand {
  static override summary = 'look for what is wrong with the database, and name the command that mends it';
  static override description =
    'Looks at the server, schema, roles, functions and indexes, TimescaleDB and its jobs, locks and chunk sizes. ' +
    'Changes nothing. Exits with 1 when there is an error.';
  static override examples = ['<%= config.bin %> db doctor', '<%= config.bin %> db doctor --json'];
  static override enableJsonFlag = true;
  static override flags = { ...settingsFlags };

  async run(): Promise<{ findings: Finding[] }> {
    const { flags } = await this.parse(DbDoctor);
    const [{ withClient }, { examine }] = await Promise.all([
      import('../../lib/database/resolve.ts'),
      import('../../lib/database/doctor.ts'),
    ]);
    const findings = await withClient(loadSettings(flags), (client, target) => {
      this.logToStderr(`database ${target.label}`);
      return examine(client, target);
    });
    for (const { check, level, message, mend } of findings) {
      this.log(`${level.padEnd(8)}${check.padEnd(13)}${message}`);
      if (mend) this.log(`${' '.repeat(21)}-> ${mend}`);
    }
    if (findings.some(({ level }) => level === 'error')) process.exitCode = 1;
    return { findings };
  }
}
