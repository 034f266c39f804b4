/** What people can choose from before they ask for values: devices by a part of their name, metrics of devices. */
import type { Client } from 'pg';
import { byNodeName } from '../jobs/nodeName.ts';
import { readSql } from '../packageRoot.ts';
import { formatUtc } from '../time.ts';
import { type Interval, union } from './interval.ts';
import { wholeBuckets } from './read.ts';
import type { Selection } from './selection.ts';
import { likeLiteral } from './selectionText.ts';

export async function searchDevices(
  client: Client,
  text: string,
  limit: number,
): Promise<{ devices: string[]; more: boolean }> {
  const literal = likeLiteral(text);
  const { rows } = await client.query<{ name: string }>(readSql('queries/choices_devices'), [
    `%${literal}%`,
    `${literal}%`,
    limit + 1,
  ]);
  const devices = rows.slice(0, limit).map(({ name }) => name);
  return { devices: devices.sort(byNodeName), more: rows.length > limit };
}

export interface MetricChoice {
  readonly metric: string;
  readonly unit: string | null;
  readonly description: string | null;
  /** How many of the devices have it. */
  readonly devices: number;
  /** Configured as optional, and without values in this time. */
  readonly optional: boolean;
}

/** A long time is looked at where it begins and where it ends. */
const PROBE_US = 1800 * 1e6;

/** Metrics that the devices have in this time, and those that are configured for them. */
export async function readMetricChoices(client: Client, selection: Selection): Promise<MetricChoice[]> {
  const names = [...(selection.devices?.keys() ?? [])];
  const times = probes(selection.bounds);
  const { rows: seen } = await client.query<{ metric_id: string; devices: number }>(
    readSql('queries/choices_metrics'),
    [names, times.map(({ fromUs }) => formatUtc(fromUs)), times.map(({ toUs }) => formatUtc(toUs))],
  );
  const { rows: catalogue } = await client.query<{
    device_id: string;
    alias: string;
    metric_id: string;
    optional: boolean;
    unit: string | null;
    description: string | null;
  }>(readSql('queries/catalogue_metrics'), [names]);
  const choices = new Map<string, MetricChoice>();
  for (const { metric_id: metric, devices } of seen) {
    choices.set(metric, { metric, unit: null, description: null, devices, optional: false });
  }
  const configured = new Map<string, Set<string>>();
  for (const row of catalogue) {
    const known = choices.get(row.metric_id);
    const having = configured.get(row.metric_id) ?? new Set();
    for (const name of [row.device_id, row.alias]) if (names.includes(name)) having.add(name);
    configured.set(row.metric_id, having);
    choices.set(row.metric_id, {
      metric: row.metric_id,
      unit: known?.unit ?? row.unit,
      description: known?.description ?? row.description,
      devices: Math.max(known?.devices ?? 0, having.size),
      optional: known === undefined ? row.optional : known.optional,
    });
  }
  return [...choices.values()].sort((a, b) => byNodeName(a.metric, b.metric));
}

function probes(bounds: Interval): Interval[] {
  const { fromUs: begin, toUs } = wholeBuckets(bounds);
  return union([
    { fromUs: begin, toUs: Math.min(begin + PROBE_US, toUs) },
    { fromUs: Math.max(begin, toUs - PROBE_US), toUs },
  ]);
}
