/** `kw query --follow`, from its flags to the end of the process. */
import { loadSettings, type SettingsFlags } from '../config/settings.ts';
import type { Settings } from '../config/settingsModel.ts';
import { openClient } from '../database/connection.ts';
import { resolveDatabase } from '../database/resolve.ts';
import { EXIT_USAGE, KwError } from '../errors.ts';
import { parseJobRef } from '../jobs/jobRef.ts';
import { splitList } from '../metrics/selectionText.ts';
import { standardOutput } from '../output/destination.ts';
import { kwServer } from '../remote/server.ts';
import { onceSignalled } from '../signals.ts';
import { checkTimeZone, localTimeZone } from '../time.ts';
import { follow } from './follow.ts';
import { followDatabase } from './fromDatabase.ts';
import { followServer } from './fromServer.ts';
import type { FollowSource } from './source.ts';

export interface FollowFlags extends SettingsFlags {
  readonly job?: string[] | undefined;
  readonly device?: string[] | undefined;
  readonly metric?: string[] | undefined;
  readonly label?: string[] | undefined;
  readonly tz?: string | undefined;
  readonly format: string;
  readonly limit?: number | undefined;
}

/**
 * Resolves when nobody reads the output any more or the limit is reached; a signal ends it with the usual code.
 * @throws KwError
 */
export async function followCommand(flags: FollowFlags, tell: (message: string) => void): Promise<void> {
  const { format } = flags;
  if (format !== 'table' && format !== 'csv' && format !== 'ndjson') {
    throw new KwError(`--format ${format} has an end, and --follow has none`, {
      code: 'BAD_FORMAT',
      exit: EXIT_USAGE,
      hint: 'write --format ndjson, csv or table',
    });
  }
  const settings = loadSettings(flags);
  const timeZone = flags.tz === undefined ? (settings.timeZone ?? localTimeZone()) : checkTimeZone(flags.tz);
  const stop = new AbortController();
  onceSignalled((exitCode) => {
    process.exitCode = exitCode;
    stop.abort();
  });
  const { device: devices, metric: metrics, label: labels } = flags;
  // `current` is a job of here, wherever the rows come from.
  const jobs = flags.job?.flatMap(splitList).map((text) => parseJobRef(text).text);
  await follow(
    await sourceOf(settings),
    { jobs, devices, metrics, labels },
    standardOutput(),
    {
      format,
      timeZone,
      limit: flags.limit || undefined,
      warn: (message) => tell(`warning: ${message}`),
    },
    stop.signal,
  );
}

async function sourceOf(settings: Settings): Promise<FollowSource> {
  if (settings.url !== undefined) return followServer(kwServer(settings));
  const target = await resolveDatabase(settings);
  return followDatabase(() => openClient(target));
}
