/** Says when a configuration may have changed: a file of metrics.d, or kw.yaml. */
import { type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

/** Editors write a file in several steps, and configuration management many files: wait until it is quiet. */
const QUIET_MS = 300;

export interface ConfigWatcher {
  close(): void;
}

/**
 * Watches the folder of metric files and the folder of kw.yaml (the file itself is often replaced by another one).
 * A folder that cannot be watched is reported once; SIGHUP still works.
 */
export function watchConfig(
  paths: { readonly metricsDir: string; readonly file?: string | undefined },
  onChange: () => void,
  onProblem: (message: string) => void,
): ConfigWatcher {
  const watchers: FSWatcher[] = [];
  let timer: NodeJS.Timeout | undefined;
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(onChange, QUIET_MS);
  };
  const add = (folder: string, concerns: (name: string) => boolean) => {
    try {
      const watcher = watch(folder, { persistent: false }, (_event, name) => {
        if (name === null || concerns(name)) changed();
      });
      watcher.on('error', (error) => onProblem(`cannot watch ${folder}: ${error.message}`));
      watchers.push(watcher);
    } catch (error) {
      onProblem(`cannot watch ${folder}: ${(error as Error).message}`);
    }
  };
  add(paths.metricsDir, (name) => !name.startsWith('.'));
  if (paths.file !== undefined) {
    const settingsName = basename(paths.file);
    add(dirname(paths.file), (name) => name === settingsName);
  }
  return {
    close() {
      clearTimeout(timer);
      for (const watcher of watchers) watcher.close();
    },
  };
}
