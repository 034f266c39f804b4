/**
 * A metric file written from what a device offers: ready to be put into metrics.d. Texts come from devices, so
 * every scalar goes through the yaml library, and comments are one line without anything that acts on a terminal.
 */
import { Document, type Pair, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import type { Discovered } from '../devices/discover.ts';
import type { Finding } from '../devices/driver.ts';
import { deviceText } from '../devices/naming.ts';

export interface MetricFileOptions {
  /** Named credential that every entry is to have. */
  readonly credential?: string | undefined;
  /** One period for all, in place of those of the findings. */
  readonly periodMs?: number | undefined;
  /** The node that the whole device belongs to, as `_device_alias` of every entry. */
  readonly alias?: string | undefined;
  /** Names that people gave to outlets are nodes: write them as `_device_alias`. */
  readonly aliasNames?: boolean | undefined;
  /** The day, for the head of the file. */
  readonly date: string;
}

/** Heads of the parts of a file, by Finding.rank. */
const HEADS: Readonly<Record<number, string>> = {
  0: 'Power',
  1: 'Energy',
  2: 'Temperature',
  3: 'Other sensors',
  4: 'Traffic',
  9: 'The rest',
};

/** The text of the file. `found.findings` are written in their order, a head before each new rank. */
export function metricFileText(found: Discovered, options: MetricFileOptions): string {
  const list = new YAMLSeq<YAMLMap>();
  let rank: number | undefined;
  for (const finding of found.findings) {
    const entry = entryOf(finding, found.deviceId, options);
    if (finding.rank !== rank) {
      entry.commentBefore = ` ${HEADS[finding.rank] ?? HEADS[9]}`;
      entry.spaceBefore = rank !== undefined;
      rank = finding.rank;
    }
    list.items.push(entry);
  }
  const document = new Document(list);
  document.commentBefore = headOf(found, options)
    .map((line) => (line === '' ? '' : ` ${line}`))
    .join('\n');
  return document.toString({ lineWidth: 0, flowCollectionPadding: true });
}

function entryOf(finding: Finding, deviceId: string, options: MetricFileOptions): YAMLMap {
  const { metricId, url, unit, description, scaleFactor, optional, periodMs, value } = finding;
  const { id, labels } = placeOf(finding, deviceId, options);
  const entry = new YAMLMap();
  const name = new Scalar(metricId);
  const now = value === undefined ? '' : deviceText(`${numberText(value)} ${unit ?? ''}`);
  if (now !== '') name.comment = ` ${now}`;
  entry.set('name', name);
  entry.set('device_id', id);
  entry.set('url', url);
  if (options.credential !== undefined) entry.set('credential', options.credential);
  entry.set('update_every', options.periodMs ?? periodMs);
  if (optional) entry.set('optional', true);
  if (scaleFactor !== undefined && scaleFactor !== 1) entry.set('scale_factor', scaleFactor);
  if (Object.keys(labels).length > 0) {
    const map = new YAMLMap();
    map.flow = true;
    for (const [label, text] of Object.entries(labels)) map.set(label, deviceText(text, MAX_LABEL));
    entry.set('labels', map);
  }
  if (unit !== undefined) entry.set('unit', unit);
  if (description !== undefined) entry.set('description', deviceText(description, 200));
  for (const pair of entry.items as Pair<string | Scalar, unknown>[]) {
    if (typeof pair.value === 'string') pair.value = new Scalar(pair.value);
  }
  return entry;
}

/** Under which device and labels an entry is stored. */
function placeOf(
  { part, labels }: Finding,
  deviceId: string,
  { alias, aliasNames }: MetricFileOptions,
): { id: string; labels: Record<string, string> } {
  if (alias !== undefined) return { id: deviceId, labels: { _device_alias: alias, ...labels } };
  if (!aliasNames || part?.alias === undefined || !HOST_NAME.test(part.alias))
    return { id: deviceId, labels: { ...labels } };
  // Two outlets of one node are added up only when their labels are the same (see metrics/byDevice.ts).
  const rest = Object.entries(labels).filter(([name]) => !part.labels.includes(name));
  return {
    id: `${deviceId}-${part.id}`,
    labels: { _device_alias: part.alias, ...Object.fromEntries(rest) },
  };
}

/** Labels are cut before, in discover.ts; this is for what cannot be written in one line. */
const MAX_LABEL = 1024;

/** What may be a node: names that people write for other things have blanks. */
const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;

function headOf(found: Discovered, options: MetricFileOptions): string[] {
  const { safeUrl, profiles, findings, about = [] } = found;
  const count = findings.length === 1 ? '1 metric' : `${findings.length} metrics`;
  const lines = [
    `${count} of ${deviceText(found.deviceId)}, found by kw device discover on ${options.date}.`,
    `Asked: ${deviceText(safeUrl, 300)}; profiles: ${profiles.join(', ')}.`,
    ...about.map(({ name, text }) => `${name}: ${deviceText(text, 300)}`),
    '',
    'Behind each name stands its value at that time. Put this file into metrics.d, run "kw config check",',
    'and see the values with "kw collect --once --dry-run".',
  ];
  const variables = variablesOf(findings.map(({ url }) => url));
  if (variables.length > 0) {
    const [first, ...others] = variables;
    lines.push(
      '',
      `Set ${[first, ...others].join(' and ')} in the environment of kw before that, or write \${file:PATH} in the place of`,
      `\${env:${first}}, or name a credential of kw.yaml: secrets are not written into this file.`,
    );
  }
  if (options.alias === undefined && !options.aliasNames && findings.some(({ part }) => part)) {
    lines.push(
      '',
      'To give an outlet to the node behind it, add "_device_alias: NODE" to its labels. Where the outlets are named',
      'after the nodes, kw device discover --alias-names does that.',
    );
  }
  return lines;
}

/** Environment variables that the URLs refer to. */
export function variablesOf(urls: readonly string[]): string[] {
  return [
    ...new Set(urls.flatMap((url) => [...url.matchAll(/\$\{env:([^{}]*)\}/g)].map(([, name]) => name ?? ''))),
  ];
}

function numberText(value: number | string): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return String(Number.isInteger(value) ? value : Number(value.toPrecision(12)));
}
