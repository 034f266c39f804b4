/** What is followed, from what was asked for: jobs give their nodes. */
import type { Client } from 'pg';
import { KwError } from '../errors.ts';
import { jobTimes, resolveSelection, type SelectionRequest } from '../metrics/selection.ts';
import { readSql } from '../packageRoot.ts';
import type { LiveSelection } from './look.ts';

/**
 * @throws KwError NO_SELECTION, JOB_OVER, those of resolveSelection; pg's error 42501 to who may see nothing
 */
export async function liveSelection(
  client: Client,
  request: Pick<SelectionRequest, 'jobs' | 'devices' | 'metrics' | 'labels'>,
  nowUs: number,
): Promise<LiveSelection> {
  // Before anything is promised: the looks come later, and their refusal would be nobody's answer.
  await client.query(readSql('queries/metrics_may_read'));
  const { devices, metrics, labels, jobs, endIsNow } = await resolveSelection(client, request, nowUs);
  if (devices === undefined) {
    throw new KwError('nothing is selected to be followed', {
      code: 'NO_SELECTION',
      hint: 'name devices or a job',
    });
  }
  if (jobs.length > 0 && !endIsNow) {
    throw new KwError(`nothing comes in any more: ${jobTimes(jobs)}`, {
      code: 'JOB_OVER',
      hint: 'what it has is read without following',
    });
  }
  return { devices: [...devices.keys()].sort(), metrics, labels };
}
