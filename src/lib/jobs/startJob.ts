/** Telling the database that jobs begin and end. */
import { userInfo } from 'node:os';
import type { Client } from 'pg';
import { KwError } from '../errors.ts';
import { readSql } from '../packageRoot.ts';
import { formatUtc, nowUs, parseTimeUs } from '../time.ts';
import { findJob } from './findJob.ts';
import { expandHostList } from './hostList.ts';
import { type JobRef, parseJobRef } from './jobRef.ts';
import { shortNodeName } from './nodeName.ts';
import { storableComment } from './slurm/comment.ts';

export interface NewJob {
  readonly source: string;
  readonly jobId: number;
  readonly nodes: readonly string[];
  /** Undefined is the owner that it has, or the caller; of a new job that a scheduler starts it is `user`. */
  readonly owner: string | undefined;
  /** Who runs the command. */
  readonly user: string;
  /** Undefined is now, by the clock of the database. */
  readonly startedUs: number | undefined;
  readonly nameId: string | undefined;
  readonly comment: string | undefined;
  /** Enable what the comment asks for: see slurm/comment.ts. */
  readonly monitor?: boolean | undefined;
}

export interface StartFlags {
  readonly job: string;
  readonly nodes: string;
  readonly user?: string | undefined;
  readonly at?: string | undefined;
  readonly name?: string | undefined;
  readonly source?: string | undefined;
  readonly comment?: string | undefined;
  readonly monitor?: boolean | undefined;
}

/** The flags of `kw job start`, checked. @throws KwError BAD_JOB, BAD_NODES, BAD_TIME, ... */
export function readNewJob(flags: StartFlags, env: NodeJS.ProcessEnv = process.env): NewJob {
  const ref = parseJobRef(flags.job, env);
  if (ref.jobId === undefined)
    throw new KwError(`${flags.job} is an element of an array: a new job needs its own number`, {
      code: 'BAD_JOB',
      hint: `give both: --job NUMBER --name ${ref.nameId}`,
    });
  return {
    source: sourceOf(ref, flags.source),
    jobId: ref.jobId,
    nodes: expandHostList(flags.nodes),
    owner: flags.user === undefined ? undefined : checkText('--user', flags.user),
    user: userInfo().username,
    startedUs: flags.at === undefined ? undefined : parseTimeUs(flags.at, { nowUs: nowUs() }),
    nameId: flags.name === undefined ? undefined : checkText('--name', flags.name),
    comment: readComment(flags),
    monitor: flags.monitor,
  };
}

/** A prolog hands on what the user wrote, whatever it is: that must not keep the job from being told. */
function readComment({ comment, monitor }: StartFlags): string | undefined {
  if (comment === undefined) return undefined;
  return monitor ? storableComment(comment) || undefined : checkText('--comment', comment);
}

function sourceOf(ref: JobRef, flag: string | undefined): string {
  if (flag === undefined) return ref.source ?? 'kw';
  // The form that a reference can name again.
  if (!/^[A-Za-z][\w.-]{0,62}$/.test(flag))
    throw new KwError(`${JSON.stringify(flag.slice(0, 60))} is not the name of a source`, {
      code: 'BAD_JOB',
      hint: 'write a word such as slurm or oar',
    });
  if (ref.source !== undefined && ref.source !== flag)
    throw new KwError(`--job ${ref.text} and --source ${flag} contradict each other`, { code: 'BAD_JOB' });
  return flag;
}

/** Sizes are the database's to check; what it cannot take in at all is not sent. */
function checkText(flag: string, text: string): string {
  const problem = text.includes('\0')
    ? 'contains a NUL character'
    : text.isWellFormed()
      ? text === '' && 'is empty'
      : 'is not valid Unicode';
  if (problem) throw new KwError(`${flag} ${problem}`, { code: 'BAD_JOB' });
  return text;
}

export interface StartedJob {
  readonly job: { source: string; jobId: number };
  /** Nodes that the job did not have before; 0 when the same was said already. */
  readonly newNodes: number;
}

export async function startJob(client: Client, job: NewJob): Promise<StartedJob> {
  const { rows } = await client.query<{ new_nodes: number }>(readSql('queries/job_start'), [
    job.jobId,
    job.source,
    job.nodes,
    job.owner ?? null,
    job.user,
    job.startedUs === undefined ? null : formatUtc(job.startedUs),
    job.nameId ?? null,
    job.comment ?? null,
  ]);
  return { job: { source: job.source, jobId: job.jobId }, newNodes: rows[0]?.new_nodes ?? 0 };
}

export interface StopRequest {
  readonly ref: JobRef;
  /** Undefined is now, by the clock of the database. */
  readonly stoppedUs: number | undefined;
  /** Undefined is all of them. */
  readonly nodes: readonly string[] | undefined;
}

export interface StoppedJob {
  readonly job: { source: string; jobId: number };
  /** Nodes that it gave back; 0 when it had stopped already. */
  readonly endedNodes: number;
}

/** @throws KwError NO_SUCH_JOB, AMBIGUOUS_JOB */
export async function stopJob(client: Client, { ref, stoppedUs, nodes }: StopRequest): Promise<StoppedJob> {
  const { source, jobId } = await findJob(client, ref, false);
  const { rows } = await client.query<{ ended_nodes: number }>(readSql('queries/job_stop'), [
    jobId,
    source,
    nodes === undefined ? null : [...new Set([...nodes, ...nodes.map(shortNodeName)])],
    stoppedUs === undefined ? null : formatUtc(stoppedUs),
  ]);
  return { job: { source, jobId }, endedNodes: rows[0]?.ended_nodes ?? 0 };
}
