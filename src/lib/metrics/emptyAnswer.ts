/** Why there is nothing, and what to do: the sentences beside an empty answer. */
import type { Client } from 'pg';
import { closest } from '../didYouMean.ts';
import { foldHostList } from '../jobs/hostList.ts';
import { jobLabel } from '../jobs/model.ts';
import { readSql } from '../packageRoot.ts';
import { formatUtc } from '../time.ts';
import { span } from './interval.ts';
import { jobTimes, type Selection } from './selection.ts';

const MAX_DEVICES = 3;

/** One or more sentences. `told`: warnings that already name a reason. */
export async function whyEmpty(
  client: Client,
  selection: Selection,
  told: readonly string[],
): Promise<string[]> {
  const { devices, jobs, times } = selection;
  const label = jobs.map((job) => jobLabel(job)).join(', ');
  if (selection.notInJobs.length > 0 && devices?.size === 0) {
    return [
      `no rows: ${selection.notInJobs.join(', ')} is no node of job ${label} in this time; ` +
        'without --job, --from and --to select other devices',
    ];
  }
  if (times.length === 0) {
    const startless = jobs.every(({ startedUs }) => startedUs === undefined);
    return [
      startless
        ? `no rows: job ${label} has no nodes yet`
        : `no rows: nothing of the job lies in the time asked for (${jobTimes(jobs)})`,
    ];
  }
  const period = span(times);
  const from = formatUtc(period?.fromUs ?? 0);
  const to = formatUtc(period?.toUs ?? 0);
  const sentences = [`no rows from ${from} to ${to}`];
  const { rows } = await client.query<{ kind: string; name: string }>(readSql('queries/known_names'));
  const known = (kind: string) => rows.filter((row) => row.kind === kind).map(({ name }) => name);
  sentences.push(
    ...suggestions(
      'device',
      devices === undefined || jobs.length > 0 ? [] : [...devices.keys()],
      known('device'),
    ),
  );
  sentences.push(...suggestions('metric', selection.metrics?.names ?? [], known('metric')));
  if (sentences.length === 1 && devices !== undefined) {
    const anyLabels = selection.labels === undefined ? '' : ', with whatever labels,';
    for (const { name, us } of await lastValues(client, [...devices.keys()].slice(0, MAX_DEVICES), to)) {
      sentences.push(
        `the last value of ${name}${anyLabels} before that end is of ${formatUtc(us)}: see kw metrics --device ${name}`,
      );
    }
  }
  if (sentences.length === 1 && told.length === 0) {
    const nodes = devices === undefined ? '' : ` of ${foldHostList([...devices.keys()])}`;
    sentences.push(`nothing${nodes} was stored in this time: see kw metrics and kw status`);
  }
  return sentences;
}

/** For names that nobody knows. */
function suggestions(kind: string, names: readonly string[], known: readonly string[]): string[] {
  const all = new Set(known);
  return names
    .filter((name) => !all.has(name))
    .slice(0, MAX_DEVICES)
    .map((name) => {
      const near = closest(name, all, 3);
      const hint = near.length > 0 ? `did you mean ${near.join(' or ')}?` : 'see kw metrics';
      return `no ${kind} ${JSON.stringify(name.slice(0, 60))} is configured: ${hint}`;
    });
}

async function lastValues(
  client: Client,
  names: readonly string[],
  to: string,
): Promise<{ name: string; us: number }[]> {
  const { rows } = await client.query<{ name: string; us: number }>(readSql('queries/device_last_value'), [
    names,
    to,
  ]);
  return rows;
}
