/**
 * What is not in an answer although somebody would expect it, each with the reason: devices without rows, and
 * configured metrics without rows.
 */
import type { Client } from 'pg';
import { append } from '../append.ts';
import { jobLabel } from '../jobs/model.ts';
import { byNodeName } from '../jobs/nodeName.ts';
import { readSql } from '../packageRoot.ts';
import { enabledMatcher } from '../promotions/enabledMatcher.ts';
import { formatUtc } from '../time.ts';
import { type Interval, span } from './interval.ts';
import { nameList } from './nameList.ts';
import type { SeenMetrics } from './read.ts';
import type { Selection } from './selection.ts';
import { likeLiteral, metricMatcher } from './selectionText.ts';
import { type WantedRows, whichExist } from './whichExist.ts';

interface CatalogueRow {
  readonly device_id: string;
  readonly alias: string;
  readonly metric_id: string;
  readonly entry_name: string;
  readonly optional: boolean;
  readonly protocol: string;
  readonly period_ms: number;
  readonly collector: string | null;
  readonly collector_lives: boolean | null;
  readonly collector_seen_us: number | null;
  readonly up: boolean | null;
  readonly last_error: string | null;
  readonly last_up_us: number | null;
  readonly since_us: number;
}

/** A metric that is configured for a device. */
export interface Expected extends CatalogueRow {
  /** Optional, and enabled now. */
  readonly enabled: boolean;
}

/** More lines than this help nobody. */
const MAX_LINES = 10;

export interface Absences {
  /** Sentences for people, the same reason told once. */
  readonly warnings: readonly string[];
  /** Devices with rows, and the metrics of each, as far as somebody would expect them. */
  readonly seen: SeenMetrics;
  /** What is configured, by the names asked for. */
  readonly expected: ReadonlyMap<string, readonly Expected[]>;
}

/**
 * Nothing for a selection of every device.
 * @param cut whether `seen` knows the first rows only: then the database is asked for the others
 */
export async function findAbsences(
  client: Client,
  selection: Selection,
  seen: SeenMetrics,
  cut: boolean,
): Promise<Absences> {
  const { devices } = selection;
  if (devices === undefined || devices.size === 0) return { warnings: [], seen, expected: new Map() };
  const { rows } = await client.query<CatalogueRow>(readSql('queries/catalogue_expected'), [
    [...devices.keys()],
  ]);
  const isEnabled = rows.some(({ optional }) => optional) ? await enabledMatcher(client) : () => false;
  const expected = rows.map((row) => ({ ...row, enabled: row.optional && isEnabled(row) }));
  // Who looks at the first rows is not told what else could be enabled.
  const shown = cut && selection.metrics === undefined ? expected.filter(isReadNow) : expected;
  const byDevice = expectedByDevice(shown);
  const whole = cut ? await seenBehind(client, selection, byDevice, seen) : seen;
  if (whole === undefined) return { warnings: [TOO_MANY_ROWS], seen, expected: byDevice };
  const lines = describe(selection, byDevice, whole);
  const warnings =
    lines.length <= MAX_LINES
      ? lines
      : [...lines.slice(0, MAX_LINES), `and ${lines.length - MAX_LINES} more such warnings`];
  return { warnings, seen: whole, expected: byDevice };
}

function isReadNow({ optional, enabled }: Expected): boolean {
  return !optional || enabled;
}

/** What is expected and has rows, of which the first ones may show none. Undefined when that takes too long. */
async function seenBehind(
  client: Client,
  selection: Selection,
  expected: ReadonlyMap<string, readonly Expected[]>,
  seen: SeenMetrics,
): Promise<SeenMetrics | undefined> {
  const matches = metricMatcher(selection.metrics);
  const { names, patterns } = selection.metrics ?? { names: [], patterns: ['%'] };
  const anyMetric = [...names.map(likeLiteral), ...patterns].map((pattern) => ({ metricId: '', pattern }));
  const wanted: WantedRows[] = [];
  for (const [device, times] of selection.devices ?? []) {
    const had = seen.get(device) ?? new Set<string>();
    const entries = (expected.get(device) ?? []).filter(({ metric_id }) => matches(metric_id));
    const metricIds = entries.filter((entry) => !isSeen(entry, had, selection)).map(rowsOf);
    // A device that nobody configured may have values that were pushed.
    if (had.size === 0) metricIds.push(...anyMetric);
    for (const { metricId, pattern } of new Map(metricIds.map((one) => [one.pattern, one])).values())
      wanted.push({ device, metricId, pattern, times: span(times) as Interval });
  }
  const found = await whichExist(client, wanted, selection.labels);
  if (found === undefined) return undefined;
  const whole = new Map([...seen].map(([device, metrics]) => [device, new Set(metrics)]));
  for (const { device, metricId } of found)
    whole.set(device, (whole.get(device) ?? new Set<string>()).add(metricId));
  return whole;

  function rowsOf(entry: Expected) {
    const ofPage = selection.metrics === undefined && isPage(entry);
    return ofPage
      ? { metricId: 'prom_', pattern: 'prom\\_%' }
      : { metricId: entry.metric_id, pattern: likeLiteral(entry.metric_id) };
  }
}

const TOO_MANY_ROWS =
  'which devices and metrics have no values was not looked for, since there are too many rows: --format csv tells it';

function expectedByDevice(rows: readonly Expected[]): Map<string, Expected[]> {
  const byDevice = new Map<string, Expected[]>();
  for (const row of rows) {
    for (const name of new Set([row.device_id, row.alias])) {
      if (name !== '') append(byDevice, name, row);
    }
  }
  return byDevice;
}

function describe(
  selection: Selection,
  expected: ReadonlyMap<string, readonly Expected[]>,
  seen: SeenMetrics,
): string[] {
  const wholeDevices = new Groups();
  const metrics = new Map<string, Groups>();
  /** By the entry to enable. */
  const notEnabled = new Map<string, Groups>();
  const matches = metricMatcher(selection.metrics);
  // Other metrics or labels of the device than those selected may well have values.
  const isWhole = selection.metrics === undefined && selection.labels === undefined;
  const unanswered = isWhole ? 'it never answered in this time' : undefined;

  for (const [device, times] of selection.devices ?? []) {
    const had = seen.get(device) ?? new Set<string>();
    const selectedUs = times.reduce((sum, { fromUs, toUs }) => sum + toUs - fromUs, 0);
    const entries = (expected.get(device) ?? []).filter(({ metric_id }) => matches(metric_id));
    const absent = entries.filter((entry) => !isSeen(entry, had, selection));
    if (had.size === 0 && absent.every(({ optional }) => !optional)) {
      wholeDevices.add(
        absent[0] ? whyAbsent(absent[0], selection, unanswered) : whyUnknown(device, expected, selection),
        device,
      );
      continue;
    }
    for (const entry of absent) {
      // Too short a time for its period proves nothing.
      if (selectedUs < 2000 * entry.period_ms) continue;
      if (entry.optional && !entry.enabled && entry.up !== false && entry.collector_lives !== false) {
        const { entry_name, metric_id } = entry;
        notEnabled.set(entry_name, (notEnabled.get(entry_name) ?? new Groups()).add(metric_id, device));
        continue;
      }
      const reason = whyAbsent(entry, selection);
      metrics.set(reason, (metrics.get(reason) ?? new Groups()).add(entry.metric_id, device));
    }
    if (had.size === 0 && absent.length === 0)
      wholeDevices.add(whyUnknown(device, expected, selection), device);
  }

  return [
    ...wholeDevices.entries().map(([reason, names]) => `no values of ${nameList(names)}: ${reason}`),
    ...[...metrics].flatMap(([reason, groups]) =>
      groups.byNames().map(([names, ids]) => `no ${nameList(ids)} of ${nameList(names)}: ${reason}`),
    ),
    ...describeNotEnabled(selection, notEnabled),
  ];
}

/** Optional metrics: each with the command that enables it, or all in one line if nobody asked for them by name. */
function describeNotEnabled(selection: Selection, notEnabled: ReadonlyMap<string, Groups>): string[] {
  if (notEnabled.size === 0) return [];
  const running = selection.jobs.find(({ stoppedUs }) => stoppedUs === undefined);
  const target = (names: readonly string[]) =>
    running ? `--job ${jobLabel(running)}` : `--device ${names.map(shellWord).join(',')}`;
  const ended = selection.jobs.length > 0 && running === undefined;
  if (selection.metrics === undefined && notEnabled.size > 1) {
    const devices = [...notEnabled.values()].flatMap((group) =>
      group.entries().flatMap(([, names]) => names),
    );
    const names = [...new Set(devices)].sort(byNodeName);
    return ended
      ? []
      : [
          `optional and not enabled: ${nameList([...notEnabled.keys()])}; to have one read: kw enable NAME ${target(names)}`,
        ];
  }
  return [...notEnabled].flatMap(([entry, group]) =>
    group.byNames().map(([names, metricIds]) => {
      // Who asked for no metric by name is told of a page, not of each metric on it.
      const ids = selection.metrics === undefined ? [entry] : metricIds;
      const subject = `no ${nameList(ids)} of ${nameList(names)}: ${ids.length === 1 ? 'it is' : 'they are'} optional and`;
      return ended
        ? `${subject} ${ids.length === 1 ? 'was' : 'were'} not enabled`
        : `${subject} not enabled; kw enable ${shellWord(entry)} ${target(names)}`;
    }),
  );
}

/** A page of Prometheus, or one of the metrics on it, which come and go. */
function isPage({ protocol }: Expected): boolean {
  return protocol.startsWith('prometheus');
}

function isSeen(entry: Expected, had: ReadonlySet<string>, { metrics }: Selection): boolean {
  if (had.has(entry.metric_id)) return true;
  return metrics === undefined && isPage(entry) && [...had].some((metricId) => metricId.startsWith('prom_'));
}

/** Why a device gives nothing now, if its collector lives. */
export function whyDown(
  { up, last_up_us, last_error }: Expected,
  unanswered = 'it does not answer',
): string | undefined {
  if (up !== false) return undefined;
  const since = last_up_us === null ? unanswered : `down since ${formatUtc(last_up_us)}`;
  return last_error === null ? since : `${since} (${last_error})`;
}

/** @param unanswered what to say of a device of which it is not known that it ever answered */
function whyAbsent(entry: Expected, selection: Selection, unanswered?: string): string {
  if (entry.collector_lives === null) return 'no collector is running';
  if (entry.collector_lives === false) {
    const since = entry.collector_seen_us === null ? '' : ` since ${formatUtc(entry.collector_seen_us)}`;
    return `its collector ${entry.collector} is not running${since}`;
  }
  const down = whyDown(entry, unanswered);
  if (down !== undefined) return down;
  if (entry.enabled) return `optional and enabled now, but ${withoutValues(selection)}`;
  if (entry.optional) return 'it is optional and not enabled';
  return `configured, but ${withoutValues(selection)}`;
}

function withoutValues({ labels }: Selection): string {
  return `without values ${labels === undefined ? '' : 'of these labels '}in this time`;
}

function whyUnknown(
  device: string,
  expected: ReadonlyMap<string, readonly Expected[]>,
  selection: Selection,
): string {
  const entries = expected.get(device);
  if (entries === undefined) return 'no device or alias of this name is configured';
  const broken = entries.find(({ up, collector_lives }) => up === false || collector_lives === false);
  if (broken !== undefined) return whyAbsent(broken, selection);
  return selection.metrics === undefined
    ? `configured, but ${withoutValues(selection)}`
    : 'no such metric is configured there';
}

/** Names under a key, and keys that have the same names. */
class Groups {
  readonly #names = new Map<string, Set<string>>();

  add(key: string, name: string): this {
    const names = this.#names.get(key);
    if (names === undefined) this.#names.set(key, new Set([name]));
    else names.add(name);
    return this;
  }

  entries(): [key: string, names: string[]][] {
    return [...this.#names].map(([key, names]) => [key, [...names].sort(byNodeName)]);
  }

  byNames(): [names: string[], keys: string[]][] {
    const same = new Map<string, [string[], string[]]>();
    for (const [key, names] of this.entries()) {
      const id = JSON.stringify(names);
      const group = same.get(id);
      if (group === undefined) same.set(id, [names, [key]]);
      else group[1].push(key);
    }
    return [...same.values()];
  }
}

function shellWord(text: string): string {
  return /^[\w.:@%+,/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
