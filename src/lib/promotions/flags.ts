/** What `kw enable` and `kw disable` are about: devices by name, or a job. */
import type { Target } from './candidates.ts';

/** As the database's functions have it. */
const MAX_DURATION_MS = 10 * 365 * 86_400_000;

export const deviceFlag = {
  description: "devices, such as node-1,node-2 or 'node-[1-20]'",
  helpValue: 'LIST',
};

export const jobFlag = {
  description: 'job: 1234, 1234_7, oar:1234, or current inside a job',
  helpValue: 'ID',
};

/** @throws KwError BAD_NODES, BAD_JOB, NO_CURRENT_JOB */
export async function readTarget(flags: {
  device?: string | undefined;
  job?: string | undefined;
}): Promise<Target | undefined> {
  if (flags.job !== undefined) {
    const { parseJobRef } = await import('../jobs/jobRef.ts');
    return { job: parseJobRef(flags.job) };
  }
  if (flags.device === undefined) return undefined;
  const { expandHostList } = await import('../jobs/hostList.ts');
  return { devices: expandHostList(flags.device) };
}

/** As readTarget, for a command whose flags demand one of the two. */
export async function requireTarget(flags: Parameters<typeof readTarget>[0]): Promise<Target> {
  const target = await readTarget(flags);
  if (target === undefined) throw new Error('the command declares that it needs --device or --job');
  return target;
}

/** Milliseconds; undefined stays so. @throws KwError BAD_DURATION */
export async function readDuration(text: string | undefined): Promise<number | undefined> {
  if (text === undefined) return undefined;
  const { parseDurationMs } = await import('../time.ts');
  const ms = parseDurationMs(text);
  if (ms > 0 && ms <= MAX_DURATION_MS) return ms;
  const { KwError } = await import('../errors.ts');
  throw new KwError('the duration must be more than nothing and at most 10 years', { code: 'BAD_DURATION' });
}
