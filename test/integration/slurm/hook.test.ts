/** The prologs and epilogs of examples/slurm as Slurm runs them, with an environment that has next to nothing. */
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../support/temporaryFolder.ts';
import { waitUntil } from '../../support/waitUntil.ts';

const EXAMPLES = join(import.meta.dirname, '../../../examples/slurm');

describe('a prolog of Slurm', () => {
  let folder: string;
  let remove: () => void;
  let kw: string;
  const written = (name: string) => readFileSync(join(folder, name), 'utf8');
  beforeEach(() => {
    ({ folder, remove } = temporaryFolder());
    kw = join(folder, 'kw');
    tells(`cat /proc/$$/environ >${folder}/environment; printf '<%s>' "$@" >>${folder}/arguments`);
  });
  afterEach(() => remove());

  /** What kw does there. */
  function tells(script: string) {
    writeFileSync(kw, `#!/bin/bash\n${script}\n`);
    chmodSync(kw, 0o755);
  }
  async function hook(name: string, env: Readonly<Record<string, string>> = {}) {
    const log = join(folder, 'log');
    const surroundings = { KW: kw, KW_HOOK_LOG: log, KW_HOOK_RUN: join(folder, 'run') };
    const job = { SLURM_JOB_ID: '7', SLURM_JOB_USER: 'alice', SLURM_JOB_NODELIST: 'n[1-2]' };
    const answer = await promisify(execFile)(join(EXAMPLES, name), [], {
      env: { ...surroundings, ...job, ...env },
      timeout: 5_000,
    });
    expect(answer).toEqual({ stdout: '', stderr: '' });
  }

  test('finds programs in /usr/local/bin, where Slurm names no path at all', async () => {
    await hook('PrologSlurmctld');
    const path = written('environment')
      .split('\0')
      .find((line) => line.startsWith('PATH='));
    expect(path).toMatch(/^PATH=(.*:)?\/usr\/bin:(.*:)?\/usr\/local\/bin$/);
  });

  test.each([
    [
      'PrologSlurmctld',
      { SLURM_JOB_COMMENT: '--user=root monitor=$(id) "' },
      `<job><start><--job><7><--source><slurm><--user><alice><--nodes><n[1-2]><--comment=--user=root monitor=$(id) "><--monitor>`,
    ],
    [
      'PrologSlurmctld',
      { SLURM_ARRAY_JOB_ID: '5', SLURM_ARRAY_TASK_ID: '3' },
      '<job><start><--job><7><--name><5_3><--source><slurm><--user><alice><--nodes><n[1-2]><--comment=><--monitor>',
    ],
    [
      'PrologSlurmctld',
      { SLURM_HET_JOB_ID: '6' },
      '<job><start><--job><6><--source><slurm><--user><alice><--nodes><n[1-2]><--comment=><--monitor>',
    ],
    ['EpilogSlurmctld', {}, '<job><stop><--job><slurm:7>'],
    ['EpilogSlurmctld', { SLURM_HET_JOB_ID: '6' }, '<job><stop><--job><slurm:6><--nodes><n[1-2]>'],
    [
      'Prolog',
      { SLURMD_NODENAME: 'n2' },
      '<job><start><--job><7><--source><slurm><--user><alice><--nodes><n2><--comment=><--monitor>',
    ],
    ['Epilog', { SLURMD_NODENAME: 'n2' }, '<job><stop><--job><slurm:7><--nodes><n2>'],
  ])('%s with %j tells %s', async (name, env, told) => {
    await hook(name, env);
    expect(written('arguments')).toBe(`${told}<--timeout><900ms>`);
    expect(existsSync(join(folder, 'log'))).toBe(false);
  });

  test('works by a link from elsewhere', async () => {
    symlinkSync(join(EXAMPLES, 'EpilogSlurmctld'), join(folder, 'epilog'));
    await hook('../../'.repeat(20) + join(folder, 'epilog'));
    expect(written('arguments')).toContain('<job><stop>');
  });

  test('succeeds where kw is missing or fails, logs why, and wakes the sync', async () => {
    mkdirSync(join(folder, 'run'));
    await hook('PrologSlurmctld', { KW: join(folder, 'none') });
    expect(written('log')).toMatch(/^\S+ job 7, kw job start: .*none.*No such file or directory\n$/);
    expect(existsSync(join(folder, 'run', 'wake'))).toBe(true);
    tells('echo kw: the database is away >&2; exit 1');
    await hook('EpilogSlurmctld');
    expect(written('log')).toMatch(/\n\S+ job 7, kw job stop: kw: the database is away\n$/);
  });

  test('waits a second and no longer for a kw that nothing can stop', async () => {
    tells(`trap '' TERM INT HUP; echo $$ >${folder}/pid; exec sleep 30`);
    const startedMs = performance.now();
    await hook('PrologSlurmctld');
    expect(performance.now() - startedMs).toBeLessThan(1_500);
    expect(written('log')).toMatch(/^\S+ job 7, kw job start: .*did not answer.*\n$/);
    const pid = Number(written('pid'));
    await waitUntil(() => !existsSync(`/proc/${pid}`), 3_000);
  });
});
