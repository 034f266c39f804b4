import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import { settingsFlags } from '../../lib/config/flags.ts';
import type { Synced } from '../../lib/jobs/slurm/syncSlurm.ts';

/** kw job sync */
export default class JobSync extends KwCommand {
  static override summary = "make good what a scheduler's prologs and epilogs did not say";
  static override description =
    'Asks Slurm (squeue) which jobs it has, and brings the jobs of kw, their nodes, times and what their comments ' +
    'ask for (monitor=PATTERN) in line with it. What users enabled by hand stays. Once, or with --every as a service; ' +
    'run it as root or the SlurmUser where others may not see all jobs.';
  static override examples = [
    '<%= config.bin %> job sync --slurm',
    '<%= config.bin %> job sync --slurm --dry-run',
    '<%= config.bin %> job sync --slurm --every 30s',
    '<%= config.bin %> job sync --slurm --every 30s --wake /run/kw-job-sync/wake',
  ];
  static override flags = {
    slurm: Flags.boolean({ description: 'the scheduler is Slurm', required: true }),
    source: Flags.string({
      description: 'name of the source, as prologs give it',
      default: 'slurm',
      helpValue: 'NAME',
    }),
    every: Flags.string({
      description: 'again and again, at this interval, until SIGTERM',
      helpValue: 'DURATION',
      exclusive: ['dry-run', 'json'],
    }),
    wake: Flags.string({
      description:
        'do it at once when this file is touched, which prologs do that could not tell kw of a job',
      helpValue: 'FILE',
      dependsOn: ['every'],
    }),
    'dry-run': Flags.boolean({ description: 'only say what would change' }),
    'node-map': Flags.file({
      helpValue: 'FILE',
      description: 'file with lines `node device`, where cutting node names at the first dot does not do',
      exists: true,
    }),
    ...settingsFlags,
  };
  static override enableJsonFlag = true;

  async run(): Promise<Record<string, unknown> | undefined> {
    const { flags } = await this.parse(JobSync);
    const [{ loadSettings }, { withClient }, { syncSlurm }, { checkSourceName }, { readNodeMap }] =
      await Promise.all([
        import('../../lib/config/settings.ts'),
        import('../../lib/database/resolve.ts'),
        import('../../lib/jobs/slurm/syncSlurm.ts'),
        import('../../lib/jobs/sources/addSource.ts'),
        import('../../lib/jobs/sources/nodeMap.ts'),
      ]);
    checkSourceName(flags.source);
    const settings = loadSettings(flags);
    const sync = (signal?: AbortSignal) => {
      const nodes = flags['node-map'] === undefined ? undefined : readNodeMap(flags['node-map']);
      return withClient(settings, (client) =>
        syncSlurm(client, { source: flags.source, dryRun: flags['dry-run'], nodes, signal }),
      );
    };
    if (flags.every !== undefined) {
      await this.#serve(flags.every, flags.wake, sync);
      return undefined;
    }
    const synced = await sync();
    const { changeTable, countLine, problemLines, syncJson } = await import(
      '../../lib/jobs/slurm/describeSync.ts'
    );
    if (!this.jsonEnabled()) {
      const { terminalWidth } = await import('../../lib/output/fit.ts');
      const table = changeTable(synced, terminalWidth(process.stdout));
      if (table !== undefined) this.log(table);
    }
    for (const line of problemLines(synced)) this.logToStderr(`warning: ${line}`);
    this.logToStderr(countLine(synced, flags['dry-run']));
    return syncJson(synced);
  }

  async #serve(
    interval: string,
    wakeFile: string | undefined,
    sync: (signal: AbortSignal) => Promise<Synced>,
  ): Promise<void> {
    const [{ every }, { watchWakeFile }, { KwError }, { parseDurationMs }, { changeLines, problemLines }] =
      await Promise.all([
        import('../../lib/every.ts'),
        import('../../lib/jobs/wakeFile.ts'),
        import('../../lib/errors.ts'),
        import('../../lib/time.ts'),
        import('../../lib/jobs/slurm/describeSync.ts'),
      ]);
    const intervalMs = parseDurationMs(interval);
    if (intervalMs < 1_000 || intervalMs > 86_400_000)
      throw new KwError('--every must be between 1s and 1d', { code: 'BAD_DURATION' });
    const end = new AbortController();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => end.abort());
    // The same trouble is told once.
    let told = '';
    const work = async () => {
      try {
        const synced = await sync(end.signal);
        for (const line of changeLines(synced)) this.logToStderr(line);
        const problems = problemLines(synced).join('\n');
        if (problems !== told) for (const line of problemLines(synced)) this.logToStderr(`warning: ${line}`);
        told = problems;
      } catch (error) {
        if (end.signal.aborted) return;
        if (!(error instanceof KwError)) throw error;
        if (error.message !== told) this.logToStderr(`kw: ${error.message}`);
        told = error.message;
      }
    };
    await every(intervalMs, end.signal, work, (wake) => {
      if (wakeFile !== undefined) watchWakeFile(wakeFile, wake, end.signal);
    });
  }
}
