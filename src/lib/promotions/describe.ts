/** What enabling did, in words. */
import { foldHostList } from '../jobs/hostList.ts';
import { jobLabel } from '../jobs/model.ts';
import { formatLocal, localTimeZone } from '../time.ts';
import type { Disabled, Enabled } from './enable.ts';

const NODES_SHOWN = 200;

/** Lines for stderr. */
export function describeEnabled(enabled: Enabled, timeZone: string = localTimeZone()): string[] {
  const lines: string[] = [];
  const { metrics, alwaysRead, devicesWithout, job, expiresUs } = enabled;
  const devices = fold(enabled.devices);
  const always = `${alwaysRead.join(', ')} ${alwaysRead.length === 1 ? 'is' : 'are'} read all the time`;
  if (!enabled.changed) return [`${always} on ${devices}: there is nothing to enable`];
  const ends = [
    ...(job === undefined ? [] : [`job ${jobLabel(job)} ends`]),
    ...(expiresUs === undefined ? [] : [formatLocal(expiresUs, timeZone, 0)]),
  ].join(' or ');
  const what = metrics !== undefined && metrics.length > 0 ? metrics.join(', ') : enabled.pattern;
  lines.push(`enabled ${what} on ${devices} until ${ends}`);
  if (metrics === undefined)
    lines.push('no collector has run yet, so it is not known whether such metrics exist');
  else if (metrics.length === 0) lines.push('no collector is configured to read such a metric there now');
  else if (devicesWithout.length > 0) lines.push(`nothing matches on ${fold(devicesWithout)}`);
  if (alwaysRead.length > 0) lines.push(always);
  return lines;
}

const PATTERNS_SHOWN = 5;

/** One line for stderr. */
export function describeDisabled({ disabled, patterns, devices }: Disabled): string {
  if (disabled === 0) return 'nothing was enabled there';
  const what = patterns.length > PATTERNS_SHOWN ? `${patterns.length} patterns` : patterns.join(', ');
  return `disabled ${what} on ${fold(devices)}`;
}

function fold(devices: readonly string[]): string {
  const folded = foldHostList(devices);
  return folded.length > NODES_SHOWN ? `${devices.length} devices` : folded;
}
