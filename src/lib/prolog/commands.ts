/**
 * What `kw enable`, `kw disable`, `kw job start` and `kw job stop` do, below their flags: called by their oclif
 * commands, and by quick.ts without oclif.
 */
import { expandHostList, foldHostList } from '../jobs/hostList.ts';
import { parseJobRef } from '../jobs/jobRef.ts';
import { jobLabel } from '../jobs/model.ts';
import { readNewJob, type StartFlags, type StoppedJob } from '../jobs/startJob.ts';
import type { Disabled, Enabled } from '../promotions/enable.ts';
import type { StartedWithMetrics } from '../promotions/startAndEnable.ts';
import { disableCall, enableCall, jobStartCall, jobStopCall } from '../remote/prologCalls.ts';
import { nowUs, parseTimeUs } from '../time.ts';
import { type PrologOptions, runBounded } from './bounded.ts';
import { readDuration, readTarget, requireTarget } from './flags.ts';

/** The surroundings of a command. */
export interface PrologIo {
  /** Whether --json was given. */
  readonly json: boolean;
  /** A line for people, on stderr. */
  note(line: string): void;
}

export type CommonFlags = Pick<PrologOptions, 'config' | 'database' | 'url' | 'timeout'>;

export interface EnableFlags extends CommonFlags {
  readonly device?: string | undefined;
  readonly job?: string | undefined;
  readonly for?: string | undefined;
  readonly force: boolean;
}

export async function runEnable(pattern: string, flags: EnableFlags, io: PrologIo): Promise<Enabled> {
  const request = {
    pattern,
    target: requireTarget(flags),
    forMs: readDuration(flags.for),
    force: flags.force === true,
  };
  const enabled = await runBounded(
    { ...flags, consequence: 'it is not known whether anything was enabled', json: io.json },
    enableCall,
    request,
  );
  await noteEnabled([enabled], io);
  return enabled;
}

async function noteEnabled(enabled: readonly Enabled[], io: PrologIo): Promise<void> {
  const { describeEnabled } = await import('../promotions/describe.ts');
  for (const line of enabled.flatMap((one) => describeEnabled(one))) io.note(line);
}

export interface DisableFlags extends CommonFlags {
  readonly device?: string | undefined;
  readonly job?: string | undefined;
}

export async function runDisable(
  pattern: string | undefined,
  flags: DisableFlags,
  io: PrologIo,
): Promise<Disabled> {
  const request = { pattern, target: readTarget(flags) };
  const result = await runBounded(
    { ...flags, consequence: 'it is not known whether anything was disabled', json: io.json },
    disableCall,
    request,
  );
  const { describeDisabled } = await import('../promotions/describe.ts');
  io.note(describeDisabled(result));
  return result;
}

export interface JobStartFlags extends StartFlags, CommonFlags {
  /** Patterns of optional metrics. */
  readonly enable?: readonly string[] | undefined;
}

export async function runJobStart(flags: JobStartFlags, io: PrologIo): Promise<StartedWithMetrics> {
  const job = readNewJob(flags);
  const started = await runBounded(
    { ...flags, consequence: 'it is not known whether the job was started', json: io.json },
    jobStartCall,
    { job, patterns: flags.enable ?? [] },
  );
  const already = started.newNodes === 0 ? ' already' : '';
  io.note(`job ${jobLabel(job)} runs on ${foldHostList(job.nodes)}${already}`);
  await noteEnabled(started.enabled, io);
  const { usable = [], refused = [] } = started.asked ?? {};
  if (usable.length > 0) io.note(`its comment asks for ${usable.join(', ')}`);
  for (const { pattern, message } of refused)
    io.note(`kw: its comment: ${JSON.stringify(pattern)} is not enabled: ${message}`);
  for (const { pattern, message } of started.notEnabled)
    io.note(`kw: ${JSON.stringify(pattern)} is not enabled: ${message}`);
  if (started.notEnabled.length > 0) process.exitCode = 1;
  return started;
}

export interface StopFlags extends CommonFlags {
  readonly job: string;
  readonly at?: string | undefined;
  readonly nodes?: string | undefined;
}

export async function runJobStop(flags: StopFlags, io: PrologIo): Promise<StoppedJob> {
  const request = {
    ref: parseJobRef(flags.job),
    stoppedUs: flags.at === undefined ? undefined : parseTimeUs(flags.at, { nowUs: nowUs() }),
    nodes: flags.nodes === undefined ? undefined : expandHostList(flags.nodes),
  };
  const stopped = await runBounded(
    { ...flags, consequence: 'it is not known whether the job was stopped', json: io.json },
    jobStopCall,
    request,
  );
  const { endedNodes } = stopped;
  const label = jobLabel(stopped.job);
  const nodes = `${endedNodes} ${endedNodes === 1 ? 'node' : 'nodes'}`;
  if (request.nodes === undefined) {
    io.note(endedNodes === 0 ? `job ${label} had ended already` : `job ${label} has ended, with ${nodes}`);
  } else {
    io.note(endedNodes === 0 ? `job ${label} had no such nodes any more` : `job ${label} gave back ${nodes}`);
  }
  return stopped;
}
