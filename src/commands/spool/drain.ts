import { Flags } from '@oclif/core';
import { KwCommand } from '../../cli/command.ts';
import type { DrainResult } from '../../lib/collector/drainSpool.ts';
import { remoteFlags } from '../../lib/config/flags.ts';
import type { Settings } from '../../lib/config/settingsModel.ts';
import { EXIT_FAILURE, KwError } from '../../lib/errors.ts';

/** What became of values of `kw push --spool`. */
interface PushedDrain {
  readonly stored: number;
  readonly refused: number;
  readonly waiting: number;
}

/** kw spool drain */
export default class SpoolDrain extends KwCommand {
  static override summary = 'store what waits on the disk of this machine while no collector runs';
  static override description =
    'A collector that runs stores what waits by itself; this is for one that is stopped, or will never come back. ' +
    'Nothing is stored twice, however often it is interrupted: Ctrl-C ends it behind the transaction that is under way. ' +
    'Values of kw push --spool are sent too, as the next push would; they alone may go through kw serve (KW_URL).';
  static override examples = [
    '<%= config.bin %> spool drain',
    '<%= config.bin %> spool drain --folder /mnt/disk-of-a-dead-machine/collector/spool',
  ];
  static override enableJsonFlag = true;
  static override flags = {
    folder: Flags.string({ description: 'only the spool in this folder', helpValue: 'FOLDER' }),
    ...remoteFlags,
  };

  async run(): Promise<{ spools: DrainResult[]; running: string[]; pushed?: PushedDrain | undefined }> {
    const { flags } = await this.parse(SpoolDrain);
    const [
      { loadSettings },
      { readSpools },
      { totalsOf },
      { drainSpool },
      { resolveDatabase },
      progressLine,
      signals,
    ] = await Promise.all([
      import('../../lib/config/settings.ts'),
      import('../../lib/collector/spoolReport.ts'),
      import('../../lib/collector/spoolText.ts'),
      import('../../lib/collector/drainSpool.ts'),
      import('../../lib/database/resolve.ts'),
      import('../../lib/output/progress.ts'),
      import('../../lib/signals.ts'),
    ]);
    const settings = loadSettings(flags);
    const named = settings.url === undefined ? await resolveDatabase(settings) : undefined;
    const request = { folder: flags.folder, withBodies: false };
    const reports = await readSpools(settings, request, (problem) => this.logToStderr('%s', problem));
    const waiting = reports.filter(
      ({ name, segments }) => segments.length > 0 && !name.startsWith('push-spool/'),
    );
    const hasPushed =
      flags.folder === undefined &&
      reports.some(({ name, segments }) => segments.length > 0 && name.startsWith('push-spool/'));
    if (waiting.length === 0 && !hasPushed) this.logToStderr('nothing waits');
    const abort = new AbortController();
    let exitCode = 0;
    const remove = signals.onceSignalled((code) => {
      exitCode = code;
      abort.abort();
    });
    const { Progress, countText } = progressLine;
    const progress = new Progress();
    const spools: DrainResult[] = [];
    const running: string[] = [];
    try {
      // A server takes these, and not what waits for a database: that is told behind them.
      if (named === undefined && waiting.length > 0 && hasPushed) await this.#drainPushed(settings);
      for (const report of waiting) {
        if (abort.signal.aborted) break;
        const database = named ?? (await resolveDatabase(settings));
        const { folder } = report;
        try {
          const result = await drainSpool(folder, {
            settings,
            database,
            version: this.config.version,
            signal: abort.signal,
            onProgress: (stored, left) =>
              progress.show(() => `${countText(stored)} values stored, ${countText(left)} wait`),
          });
          spools.push(result);
          progress.end();
          if (!this.jsonEnabled()) this.log('%s', this.#lineOf(result, countText));
          if (result.problem !== undefined) {
            throw new KwError(
              `${countText(result.waiting)} values still wait in ${folder}: ${result.problem}`,
              {
                code: 'DATABASE_AWAY',
                hint: 'run it again: nothing is stored twice',
              },
            );
          }
        } catch (error) {
          progress.end();
          if (!(error instanceof KwError) || error.code !== 'COLLECTOR_RUNNING' || flags.folder) throw error;
          running.push(folder);
          const left = countText(totalsOf(report).waitingValues);
          this.logToStderr(
            '%s',
            `${folder}: its collector runs and stores them by itself, as soon as its database takes them (kw status says whether it does); ${left} values wait`,
          );
        }
      }
    } finally {
      remove();
    }
    if (exitCode !== 0) process.exitCode = exitCode;
    else if (hasPushed) return { spools, running, pushed: await this.#drainPushed(settings) };
    return { spools, running };
  }

  async #drainPushed(settings: Settings): Promise<PushedDrain> {
    const [{ drainPushSpool }, { PushProgress }] = await Promise.all([
      import('../../lib/remote/pushSpool.ts'),
      import('../../lib/push/progress.ts'),
    ]);
    const progress = new PushProgress(process.stderr);
    const outcome = await drainPushSpool(settings, progress);
    progress.outcome(outcome);
    const { stored, refused, waiting, away } = outcome;
    if (refused > 0 || away !== undefined) process.exitCode = EXIT_FAILURE;
    return { stored, refused, waiting };
  }

  #lineOf(
    { folder, stored, refused, lost, waiting }: DrainResult,
    countText: (count: number) => string,
  ): string {
    const parts = [`${countText(stored)} values stored`];
    if (refused > 0) parts.push(`${countText(refused)} refused (kept in refused.ndjson)`);
    if (lost > 0) parts.push(`at least ${countText(lost)} lost in damaged records`);
    if (waiting > 0) parts.push(`${countText(waiting)} still wait`);
    return `${folder}: ${parts.join(', ')}`;
  }
}
