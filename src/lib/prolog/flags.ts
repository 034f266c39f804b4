/** Flags that several commands of prologs have, and their values. Plain options: reading them must not load oclif. */
import { KwError } from '../errors.ts';
import { expandHostList } from '../jobs/hostList.ts';
import { parseJobRef } from '../jobs/jobRef.ts';
import type { Target } from '../promotions/candidates.ts';
import { parseDurationMs } from '../time.ts';

/** As the database's functions have it. */
const MAX_DURATION_MS = 10 * 365 * 86_400_000;

export const deviceFlag = {
  description: "devices, such as node-1,node-2 or 'node-[1-20]'",
  helpValue: 'LIST',
};

/** @throws KwError BAD_NODES, BAD_JOB, NO_CURRENT_JOB */
export function readTarget(flags: {
  device?: string | undefined;
  job?: string | undefined;
}): Target | undefined {
  if (flags.job !== undefined) {
    return { job: parseJobRef(flags.job) };
  }
  if (flags.device === undefined) return undefined;
  return { devices: expandHostList(flags.device) };
}

/** The value is read in bounded.ts. */
export const timeoutFlag = {
  description: 'give up after this time, everything included [default: 1s without a terminal, else 10s]',
  helpValue: 'DURATION',
};

/** As readTarget, for a command whose flags demand one of the two. */
export function requireTarget(flags: Parameters<typeof readTarget>[0]): Target {
  const target = readTarget(flags);
  if (target === undefined) throw new Error('the command declares that it needs --device or --job');
  return target;
}

/** Milliseconds; undefined stays so. @throws KwError BAD_DURATION */
export function readDuration(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDurationMs(text);
  if (ms > 0 && ms <= MAX_DURATION_MS) return ms;
  throw new KwError('the duration must be more than nothing and at most 10 years', { code: 'BAD_DURATION' });
}
