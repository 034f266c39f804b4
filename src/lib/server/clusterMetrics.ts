/**
 * Descriptions of metrics as Grid'5000's reference API gives them for a cluster, and EnOSlib reads them: periods in
 * milliseconds (0: not read unless enabled), a Prometheus exporter as one description with the list of its names, and
 * `only_for` where not all nodes of the cluster have the metric.
 */
import type { Client } from 'pg';
import { byNodeName } from '../jobs/nodeName.ts';
import { readSql } from '../packageRoot.ts';

export interface MetricDescription {
  readonly name: string;
  readonly description: string;
  readonly period: number;
  readonly optional_period: number;
  readonly source: { readonly protocol: string; readonly id?: readonly string[] };
  readonly unit?: string;
  readonly only_for?: readonly string[];
}

interface ConfiguredMetric {
  readonly entry: string;
  readonly metric_id: string;
  readonly protocol: string;
  readonly description: string | null;
  readonly unit: string | null;
  readonly period_ms: number;
  readonly optional: boolean;
  readonly optional_period_ms: number | null;
  readonly nodes: readonly string[];
}

const PROMETHEUS_PREFIX = 'prom_';

/** The nodes of clusters by their names, or of one cluster. */
export async function readClusters(client: Client, cluster?: string): Promise<Map<string, string[]>> {
  const { rows } = await client.query<{ cluster: string; nodes: string[] }>(
    readSql('queries/server_clusters'),
    [cluster ?? null],
  );
  const clusters = rows.map((row) => [row.cluster, row.nodes.toSorted(byNodeName)] as const);
  return new Map(cluster === undefined ? clusters : clusters.filter(([name]) => name === cluster));
}

export async function describeMetrics(
  client: Client,
  nodes: readonly string[],
): Promise<MetricDescription[]> {
  const { rows } = await client.query<ConfiguredMetric>(readSql('queries/server_cluster_metrics'), [nodes]);
  return describe(rows, nodes.length);
}

/** Rows come in order of entries. */
function describe(rows: readonly ConfiguredMetric[], nodeCount: number): MetricDescription[] {
  const exporters = new Map<string, ConfiguredMetric[]>();
  const descriptions: MetricDescription[] = [];
  for (const row of rows) {
    if (!row.protocol.startsWith('prometheus')) {
      descriptions.push(describeOne(row.metric_id, row, nodeCount));
      continue;
    }
    const metrics = exporters.get(row.entry);
    if (metrics === undefined) exporters.set(row.entry, [row]);
    else metrics.push(row);
  }
  for (const [entry, metrics] of exporters) {
    const [first] = metrics;
    if (first === undefined) continue;
    const names = metrics
      .filter(({ metric_id }) => metric_id.startsWith(PROMETHEUS_PREFIX) && metric_id !== entry)
      .map(({ metric_id }) => metric_id.slice(PROMETHEUS_PREFIX.length));
    const alone = names.length === 0 && entry.startsWith(PROMETHEUS_PREFIX);
    const all = { ...first, nodes: [...new Set(metrics.flatMap(({ nodes }) => nodes))] };
    const id = alone ? [entry.slice(PROMETHEUS_PREFIX.length)] : names;
    const description = describeOne(entry, all, nodeCount);
    descriptions.push({ ...description, source: { ...description.source, id } });
  }
  return descriptions;
}

function describeOne(name: string, metric: ConfiguredMetric, nodeCount: number): MetricDescription {
  const { period_ms: periodMs, optional, optional_period_ms: optionalPeriodMs } = metric;
  return {
    name,
    description: metric.description ?? '',
    period: optional ? 0 : periodMs,
    optional_period: optionalPeriodMs ?? (optional ? periodMs : 0),
    source: { protocol: metric.protocol },
    ...(metric.unit === null ? {} : { unit: metric.unit }),
    ...(metric.nodes.length === nodeCount ? {} : { only_for: metric.nodes.toSorted(byNodeName) }),
  };
}
