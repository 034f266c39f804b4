/** What can be asked for: metrics that are read, that could be, and that were pushed, each with its last value. */
import type { Client } from 'pg';
import { byNodeName } from '../jobs/nodeName.ts';
import { readSql } from '../packageRoot.ts';
import { enabledMatcher } from '../promotions/enabledMatcher.ts';
import { formatUtc } from '../time.ts';
import { resolveSelection, type SelectionRequest } from './selection.ts';
import { metricMatcher } from './selectionText.ts';

/**
 * always: configured, and read all the time. enabled: optional, and read because somebody enabled it.
 * optional: could be enabled. pushed: values came although no collector is configured to read it.
 */
export type MetricState = 'always' | 'enabled' | 'optional' | 'pushed';

export interface ListedMetric {
  readonly device: string;
  readonly metric: string;
  /** The device behind an alias, where `device` is one. */
  readonly origin: string | undefined;
  readonly state: MetricState;
  /** Of an optional metric on a page of others: the entry, which is what kw enable enables. */
  readonly entry: string | undefined;
  /** What is read now; of an optional metric what would be. */
  readonly periodMs: number | undefined;
  readonly protocol: string | undefined;
  readonly unit: string | undefined;
  readonly description: string | undefined;
  readonly lastUs: number | undefined;
  /** NaN for a text. */
  readonly lastValue: number | undefined;
  readonly lastText: string | undefined;
}

export interface MetricList {
  readonly metrics: readonly ListedMetric[];
  /** The time that ages are counted to: now, or the end of the job. */
  readonly atUs: number;
  /** How far back last values were looked for. */
  readonly lookBackUs: number;
}

interface CatalogueRow {
  device_id: string;
  alias: string;
  metric_id: string;
  period_ms: number;
  optional: boolean;
  optional_period_ms: number | null;
  protocol: string;
  unit: string | null;
  description: string | null;
  entry_name: string;
}

interface LastRow {
  device_id: string;
  alias: string;
  metric_id: string;
  last_us: number;
  value: number;
  value_str: string | null;
}

const SHORT_LOOK_BACK_US = 5 * 60 * 1e6;
const LONG_LOOK_BACK_US = 3600 * 1e6;
/** Few enough to look back an hour for their last values. */
const FEW_DEVICES = 20;

/** @throws KwError as resolveSelection */
export async function listMetrics(
  client: Client,
  request: Pick<SelectionRequest, 'jobs' | 'devices' | 'metrics'>,
  nowUs: number,
): Promise<MetricList> {
  const selection = await resolveSelection(client, request, nowUs);
  const names = selection.devices && [...selection.devices.keys()];
  const atUs = (request.jobs?.length ?? 0) > 0 ? (selection.times.at(-1)?.toUs ?? nowUs) : nowUs;
  const { rows: catalogue } = await client.query<CatalogueRow>(readSql('queries/catalogue_metrics'), [
    names ?? null,
  ]);
  const devices = names ?? [...new Set(catalogue.map(({ device_id }) => device_id))];
  const longestUs = 3000 * Math.max(0, ...catalogue.map(({ period_ms }) => period_ms));
  const lookBackUs = Math.max(
    devices.length <= FEW_DEVICES ? LONG_LOOK_BACK_US : SHORT_LOOK_BACK_US,
    longestUs,
  );
  const { rows: last } = await client.query<LastRow>(readSql('queries/metrics_last'), [
    devices,
    formatUtc(atUs - lookBackUs),
    formatUtc(atUs),
  ]);
  const matches = metricMatcher(selection.metrics);
  const enabled = await enabledMatcher(client);
  const asked = names === undefined ? undefined : new Set(names);
  const listed = new Map<string, ListedMetric>();
  const lastByKey = new Map(last.map((row) => [keyOf(row), row]));
  for (const row of catalogue) {
    if (!matches(row.metric_id)) continue;
    const isEnabled = row.optional && enabled(row);
    const periodMs =
      row.optional_period_ms !== null && (isEnabled || row.optional) ? row.optional_period_ms : row.period_ms;
    listed.set(keyOf(row), {
      ...namesOf(row, asked),
      metric: row.metric_id,
      state: row.optional ? (isEnabled ? 'enabled' : 'optional') : 'always',
      entry: row.optional && row.entry_name !== row.metric_id ? row.entry_name : undefined,
      periodMs,
      protocol: row.protocol,
      unit: row.unit ?? undefined,
      description: row.description ?? undefined,
      ...lastOf(lastByKey.get(keyOf(row))),
    });
  }
  for (const row of last) {
    if (listed.has(keyOf(row)) || !matches(row.metric_id)) continue;
    listed.set(keyOf(row), {
      ...namesOf(row, asked),
      metric: row.metric_id,
      state: 'pushed',
      entry: undefined,
      periodMs: undefined,
      protocol: undefined,
      unit: undefined,
      description: undefined,
      ...lastOf(row),
    });
  }
  const metrics = [...listed.values()].sort(
    (a, b) =>
      byNodeName(a.device, b.device) ||
      byNodeName(a.metric, b.metric) ||
      byNodeName(a.origin ?? '', b.origin ?? ''),
  );
  return { metrics, atUs, lookBackUs };
}

function keyOf({
  device_id,
  alias,
  metric_id,
}: {
  device_id: string;
  alias: string;
  metric_id: string;
}): string {
  return JSON.stringify([device_id, alias, metric_id]);
}

/** A metric that was asked for by its alias is shown under it. */
function namesOf(
  { device_id, alias }: { device_id: string; alias: string },
  asked: ReadonlySet<string> | undefined,
): { device: string; origin: string | undefined } {
  const byAlias = alias !== '' && asked?.has(alias) === true && !asked.has(device_id);
  return byAlias ? { device: alias, origin: device_id } : { device: device_id, origin: undefined };
}

function lastOf(row: LastRow | undefined): Pick<ListedMetric, 'lastUs' | 'lastValue' | 'lastText'> {
  return { lastUs: row?.last_us, lastValue: row?.value, lastText: row?.value_str ?? undefined };
}
