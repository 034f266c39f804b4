/** The prologs of examples/slurm for a Slurm of tests, and what Slurm says of jobs in the words of kw. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expandHostList } from '../../src/lib/jobs/hostList.ts';
import type { Hook, Slurm } from './slurm.ts';
import { temporaryFolder } from './temporaryFolder.ts';

const ROOT = join(import.meta.dirname, '../..');

/** A program `kw` as it is installed: run from what was built. */
export function kwProgram(): { path: string; folder: string; remove: () => void } {
  const { folder, remove } = temporaryFolder();
  const path = join(folder, 'kw');
  writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'bin/run.js')}' "$@"\n`);
  chmodSync(path, 0o755);
  return { path, folder, remove };
}

/** Where a hook finds kw and its database, writes what it could not tell, and wakes the sync. */
export interface HookSurroundings {
  readonly program: string;
  readonly databaseUrl: string;
  readonly log: string;
  readonly hookRun?: string;
}

/** The script of the example, with the environment that it would find at a site. */
export function exampleHook(
  hook: Hook,
  { program, databaseUrl, log, hookRun = '/nonexistent' }: HookSurroundings,
): string {
  return `export KW='${program}' KW_DATABASE_URL='${databaseUrl}' KW_HOOK_LOG='${log}' KW_HOOK_RUN='${hookRun}'
exec '${join(ROOT, 'examples/slurm', hook)}'`;
}

/** `job node start stop` of jobs that began, in seconds; `-` for one that goes on. */
export async function slurmSays(slurm: Slurm, ...jobs: readonly number[]): Promise<string[]> {
  const text = await slurm.run(
    'squeue',
    '--noheader',
    '--all',
    '--array',
    '--states=all',
    `--jobs=${jobs.join(',')}`,
    '--format=%A|%T|%N|%S|%e',
  );
  return text
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [id = '', state = '', nodes = '', start = '', end = ''] = line.split('|');
      if (state === 'PENDING' || nodes === '') return [];
      const over = state === 'RUNNING' || state === 'SUSPENDED' || state === 'CONFIGURING' ? '-' : end;
      return expandHostList(nodes).map((node) => `${id} ${node} ${start} ${over}`);
    })
    .sort();
}
