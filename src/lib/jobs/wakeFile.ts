/**
 * A file that prologs touch when they could not tell kw of a job: kw job sync then asks the scheduler at once. The file
 * need not be there yet, its folder has to be.
 */
import { watch } from 'node:fs';
import { basename, dirname } from 'node:path';
import { KwError, systemWords } from '../errors.ts';

/**
 * @param wake called each time that the file is touched, until `signal` is aborted
 * @throws KwError WAKE_FILE when its folder cannot be watched
 */
export function watchWakeFile(path: string, wake: () => void, signal: AbortSignal): void {
  try {
    const watcher = watch(dirname(path), { persistent: false, signal }, (_event, name) => {
      if (name === basename(path)) wake();
    });
    // The folder went away: the interval goes on.
    watcher.on('error', () => watcher.close());
  } catch (error) {
    throw new KwError(`${dirname(path)} cannot be watched: ${systemWords(error as Error)}`, {
      code: 'WAKE_FILE',
      hint: 'make the folder; the systemd unit does so by RuntimeDirectory=kw-job-sync',
    });
  }
}
