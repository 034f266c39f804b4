/** Runs Slurm's own programs, and gives what they say. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import { KwError } from '../../errors.ts';
import { type EndedJob, parseSacct, SACCT_FIELDS } from './sacct.ts';
import { parseSqueueJson, type SqueueAnswer } from './squeueJson.ts';
import { parseSqueueText, squeueFormat } from './squeueText.ts';

const TIMEOUT_MS = 30_000;
/** Some 4 kB a job. */
const MAX_ANSWER_BYTES = 512 * 1024 * 1024;

/**
 * All jobs that slurmctld knows. From its JSON, or where it was built without from text, which lacks when jobs gave
 * back nodes.
 *
 * @throws KwError SLURM_AWAY, SLURM_MISSING, SLURM_ANSWER; SLURM_PRIVATE where this user is shown some jobs only
 */
export async function askSlurm(signal?: AbortSignal): Promise<SqueueAnswer> {
  await refusePartOfJobs(signal);
  const json = await run('squeue', ['--all', '--states=all', '--json'], {}, signal);
  if (json.code === 0 && json.stdout.trimStart().startsWith('{')) return parseSqueueJson(json.stdout);
  const word = `kw${randomBytes(12).toString('hex')}`;
  const text = await run(
    'squeue',
    ['--noheader', '--all', '--array', '--states=all'],
    { SQUEUE_FORMAT: squeueFormat(word), SLURM_TIME_FORMAT: '%s' },
    signal,
  );
  if (text.code !== 0) throw away('squeue', text.stderr);
  return { jobs: parseSqueueText(text.stdout, word), odd: [] };
}

/** How jobs ended, as far as there is accounting. Without it the map is empty. */
export async function askAccounting(
  jobIds: readonly number[],
  signal?: AbortSignal,
): Promise<Map<number, EndedJob>> {
  const jobs = new Map<number, EndedJob>();
  for (let from = 0; from < jobIds.length; from += 500) {
    const list = jobIds.slice(from, from + 500).join(',');
    const args = ['--noheader', '--parsable2', '--allocations', `--format=${SACCT_FIELDS}`, `--jobs=${list}`];
    const env = { SLURM_TIME_FORMAT: '%s' };
    const answer = await run('sacct', args, env, signal).catch(() => undefined);
    if (answer === undefined || answer.code !== 0) return jobs;
    for (const [id, ended] of parseSacct(answer.stdout)) jobs.set(id, ended);
  }
  return jobs;
}

/** With PrivateData=jobs a user sees his own: all others would seem to have ended. */
async function refusePartOfJobs(signal?: AbortSignal): Promise<void> {
  const { code, stdout, stderr } = await run('scontrol', ['show', 'config'], {}, signal);
  if (code !== 0) throw away('scontrol', stderr);
  const value = (name: string) => new RegExp(`^${name}\\s*=\\s*(.*)$`, 'm').exec(stdout)?.[1]?.trim() ?? '';
  if (!value('PrivateData').split(',').includes('jobs')) return;
  const { uid } = userInfo();
  const slurmUid = /\((\d+)\)$/.exec(value('SlurmUser'))?.[1];
  if (uid === 0 || String(uid) === slurmUid) return;
  throw new KwError('Slurm shows this user no jobs of others (PrivateData=jobs), and kw would end them', {
    code: 'SLURM_PRIVATE',
    hint: `run it as ${value('SlurmUser').replace(/\(.*/, '') || 'the SlurmUser'} or root`,
  });
}

function away(program: string, stderr: string): KwError {
  const words = stderr
    .trim()
    .split('\n')
    .map((line) => line.replace(/^\w+: (error|fatal): /, ''))
    .slice(-1)[0];
  return new KwError(`${program}: ${words?.slice(0, 300) || 'it failed without words'}`, {
    code: 'SLURM_AWAY',
    hint: 'see whether slurmctld runs: scontrol ping',
  });
}

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What changes the answers of these programs is not for them; where Slurm is, is. */
function environment(): NodeJS.ProcessEnv {
  const env = { ...process.env };
  for (const name of Object.keys(env)) {
    if (/^(SQUEUE|SACCT|SCONTROL|SINFO)_|^SLURM_(CLUSTERS|TIME_FORMAT|JSON|YAML|BITSTR_LEN)$/.test(name))
      delete env[name];
  }
  return { ...env, LC_ALL: 'C' };
}

/** @throws KwError SLURM_MISSING, SLURM_AWAY when it does not end in time */
function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    execFile(
      program,
      args,
      {
        env: { ...environment(), ...env },
        timeout: TIMEOUT_MS,
        killSignal: 'SIGKILL',
        maxBuffer: MAX_ANSWER_BYTES,
        ...(signal && { signal }),
      },
      (error, stdout, stderr) => {
        if (error === null) return resolve({ code: 0, stdout, stderr });
        if (error.code === 'ENOENT')
          return reject(
            new KwError(`there is no ${program} here`, {
              code: 'SLURM_MISSING',
              hint: "run it where Slurm's commands are, for example beside slurmctld",
            }),
          );
        if (typeof error.code === 'number') return resolve({ code: error.code, stdout, stderr });
        const why = error.killed ? `it did not answer for ${TIMEOUT_MS / 1000} s` : error.message;
        reject(away(program, why));
      },
    );
  });
}
