/**
 * What a pattern would enable: compares it with the metrics that collectors are configured to read on the
 * devices or the nodes of a job, and says what was probably meant when it fits nothing.
 */
import type { Client } from 'pg';
import { closest } from '../didYouMean.ts';
import { KwError } from '../errors.ts';
import { foldHostList } from '../jobs/hostList.ts';
import type { JobRef } from '../jobs/jobRef.ts';
import { shortNodeName } from '../jobs/nodeName.ts';
import { readSql } from '../packageRoot.ts';
import { type Pattern, prefixPattern } from '../prefixPattern.ts';

/** The devices that a command is about: given by name, or the nodes that a running job has now. */
export type Target = { readonly devices: readonly string[] } | { readonly job: JobRef };

export interface ConfiguredMetric {
  readonly metricId: string;
  /** Read only, or more often, while enabled. */
  readonly optional: boolean;
  readonly devices: readonly string[];
}

export interface Candidates {
  /** The running jobs that the reference may mean; none when the target is devices. */
  readonly jobs: readonly { source: string; jobId: number }[];
  /** Names as the collectors know them. */
  readonly devices: readonly string[];
  readonly metrics: readonly ConfiguredMetric[];
  /** False before any collector ran: then nothing can be checked. */
  readonly catalogueFilled: boolean;
}

export async function findCandidates(client: Client, target: Target): Promise<Candidates> {
  const devices = 'devices' in target ? target.devices : [];
  const job = 'job' in target ? target.job : undefined;
  const { rows } = await client.query<{
    jobs: { source: string; jobId: number }[];
    devices: string[];
    metrics: ConfiguredMetric[];
    catalogue_filled: boolean;
  }>(readSql('queries/promotions_candidates'), [
    devices,
    devices.map(shortNodeName),
    job?.jobId ?? null,
    job?.nameId ?? null,
    job?.source ?? null,
  ]);
  const [row] = rows;
  if (row === undefined) throw new Error('the statement gives one row');
  return {
    jobs: row.jobs,
    devices: row.devices,
    metrics: row.metrics,
    catalogueFilled: row.catalogue_filled,
  };
}

/** The engine for regular expressions is loaded only for patterns that need one. */
export async function compileUsersPattern(text: string): Promise<Pattern> {
  return prefixPattern(text) ?? (await import('../pattern.ts')).compilePattern(text);
}

export interface Match {
  /** Optional metrics that the pattern enables. */
  readonly metrics: readonly string[];
  /** Metrics that match and are read anyway. */
  readonly alwaysRead: readonly string[];
  /** Devices on which the pattern enables nothing. */
  readonly devicesWithout: readonly string[];
}

export function matchCandidates(pattern: Pattern, { devices, metrics }: Candidates): Match {
  const matching = new Set(pattern.filter(metrics.map(({ metricId }) => metricId)));
  const matched = metrics.filter(({ metricId }) => matching.has(metricId));
  const optional = matched.filter((metric) => metric.optional);
  const served = new Set(optional.flatMap((metric) => metric.devices));
  return {
    metrics: optional.map(({ metricId }) => metricId),
    alwaysRead: matched.filter((metric) => !metric.optional).map(({ metricId }) => metricId),
    devicesWithout: devices.filter((device) => !served.has(device)),
  };
}

const NAMES_SHOWN = 5;

/** Why a pattern enables nothing, as an error that names what is near. */
export function nothingMatches(pattern: Pattern, { devices, metrics }: Candidates): KwError {
  const where = devices.length === 1 ? devices[0] : `${devices.length} devices`;
  const optional = metrics.filter((metric) => metric.optional).map(({ metricId }) => metricId);
  const message = `no optional metric of ${where} matches ${JSON.stringify(pattern.text.slice(0, 80))}`;
  if (optional.length === 0)
    return new KwError(message, {
      code: 'NO_SUCH_METRIC',
      hint: 'there are no optional metrics; enable it all the same with --force',
    });
  const near = nearNames(pattern.text, optional);
  const more = optional.length > NAMES_SHOWN ? `, and ${optional.length - NAMES_SHOWN} more` : '';
  return new KwError(message, {
    code: 'NO_SUCH_METRIC',
    hint:
      near.length > 0
        ? `did you mean ${near.join(' or ')}? Or enable it all the same with --force`
        : `there are ${optional.slice(0, NAMES_SHOWN).join(', ')}${more}; enable it all the same with --force`,
  });
}

/** Names near the literal part of a pattern, and names that hold it elsewhere than at their start. */
function nearNames(text: string, names: readonly string[]): string[] {
  const literal = text.replace(/^\^|(\.\*|\$)+$/g, '');
  const inside = literal.length >= 3 ? names.filter((name) => name.includes(literal)) : [];
  if (inside.length > 0) return inside.slice(0, 3);
  return closest(literal, names, 3);
}

/** Devices that no collector knows, as an error that names near ones. */
export async function unknownDevices(client: Client, names: readonly string[]): Promise<KwError> {
  const { rows } = await client.query<{ device: string }>(readSql('queries/catalogue_devices'));
  const known = rows.map(({ device }) => device);
  const near = names.length === 1 ? closest(names[0] ?? '', known, 3) : [];
  const subject = names.length === 1 ? names[0] : foldHostList(names);
  return new KwError(`no collector is configured to read ${(subject ?? '').slice(0, 200)}`, {
    code: 'UNKNOWN_DEVICE',
    hint:
      near.length > 0
        ? `did you mean ${near.join(' or ')}? Or enable it all the same with --force`
        : 'see kw metrics for the devices; enable it all the same with --force',
  });
}
