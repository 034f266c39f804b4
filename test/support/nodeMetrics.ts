/** What tests of schedulers measure on the nodes of jobs, and the answer for a job in the words of the rows themselves. */
import type { Client } from 'pg';
import type { MetricEntry } from '../../src/lib/config/model.ts';
import { pduEntries } from './collector.ts';
import type { Snmpd } from './snmpd.ts';

/** Of each node, at an address of its own: one metric that is always read, two that are read on demand. */
export function nodeEntries(nodes: readonly string[], agent: Snmpd): MetricEntry[] {
  return nodes.flatMap((node, index) => {
    const of = (name: string, optional: boolean) =>
      pduEntries(node, agent.addresses[index] as string, agent.port, {
        outlets: 1,
        name,
        optional,
        updateEveryMs: 500,
      });
    return [
      ...of('always_watt', false),
      ...of('wattmetre_power_watt', true),
      ...of('board_power_watt', true),
    ];
  });
}

/** What a scheduler's jobs have enabled: `job node pattern`. */
export async function promotedBy(client: Client, source: string): Promise<string[]> {
  const { rows } = await client.query<{ text: string }>(
    `SELECT job_id || ' ' || device_id || ' ' || metric_id AS text FROM kw.promoted_metrics
     WHERE source = $1 ORDER BY 1`,
    [source],
  );
  return rows.map(({ text }) => text);
}

/** The rows of these nodes between two instants, ends included, as `device metric value seconds`. */
export async function storedRows(
  client: Client,
  nodes: readonly string[],
  [startS, endS]: readonly [number, number],
): Promise<string[]> {
  const { rows } = await client.query<{ text: string }>(
    `SELECT concat_ws(' ', device_id, metric_id, value, extract(epoch FROM timestamp)::numeric(20, 6)) AS text
     FROM kw.metrics WHERE device_id = ANY ($1) AND timestamp BETWEEN to_timestamp($2) AND to_timestamp($3)`,
    [nodes, startS, endS],
  );
  return rows.map(({ text }) => text).sort();
}

/** The rows of an answer of `kw query --format csv`, in the same words. */
export function answeredRows(csv: string): string[] {
  const [, ...lines] = csv.trim().split('\n');
  return lines
    .map((line) => {
      const [time = '', device, metric, value] = line.split(',');
      const [whole, fraction] = /^(.*)\.(\d{6})/.exec(time)?.slice(1) ?? [];
      return `${device} ${metric} ${value} ${Date.parse(`${whole}Z`) / 1000}.${fraction}`;
    })
    .sort();
}
