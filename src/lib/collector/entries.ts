/** The entries that a collector is to read, checked as a whole: with an error among them there are none. */
import { loadMetrics } from '../config/metrics.ts';
import type { MetricEntry } from '../config/model.ts';
import { formatProblem } from '../config/place.ts';
import type { Settings } from '../config/settingsModel.ts';
import { closest } from '../didYouMean.ts';
import { KwError } from '../errors.ts';

/** Errors that are shown; the rest are only counted. */
const SHOWN = 20;

/**
 * @param only device names: everything else is left out; undefined means all
 * @throws KwError CONFIG_INVALID, UNKNOWN_DEVICE
 */
export function loadEntries(
  settings: Settings,
  only: readonly string[] | undefined,
  onWarning: (warning: string) => void,
): readonly MetricEntry[] {
  const { entries, problems } = loadMetrics(settings);
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0) {
    const shown = errors.slice(0, SHOWN).map(formatProblem);
    if (errors.length > SHOWN) shown.push(`and ${errors.length - SHOWN} more`);
    throw new KwError(shown.join('\n'), {
      code: 'CONFIG_INVALID',
      hint: 'kw config check shows everything that is wrong',
    });
  }
  for (const problem of problems) onWarning(formatProblem(problem));
  return only ? selectDevices(entries, only) : entries;
}

function selectDevices(entries: readonly MetricEntry[], only: readonly string[]): readonly MetricEntry[] {
  const known = new Set(entries.map((entry) => entry.deviceId));
  for (const device of only) {
    if (known.has(device)) continue;
    const [near] = closest(device, known);
    throw new KwError(`no metric of a device ${JSON.stringify(device)} is configured`, {
      code: 'UNKNOWN_DEVICE',
      hint: near ? `did you mean ${near}?` : 'devices are named by device_id in the metric files',
    });
  }
  const wanted = new Set(only);
  return entries.filter((entry) => wanted.has(entry.deviceId));
}
