/**
 * Entries that would write the same device, metric and labels: their rows could not be told apart, and every
 * sum and integral over them would be wrong. The later one is refused, naming the earlier.
 */
import { labelsKey } from './entryDiff.ts';
import { shown } from './fields.ts';
import type { MetricEntry } from './model.ts';
import { commonNames, isPageUrl, type PageUrl } from './pageUrl.ts';
import { formatPlace, type ProblemList } from './place.ts';

/** The entries without the refused ones. */
export function refuseDuplicates(entries: readonly MetricEntry[], problems: ProblemList): MetricEntry[] {
  const metrics = new Map<string, MetricEntry>();
  const pages = new Map<string, MetricEntry[]>();
  return entries.filter((entry) => {
    const series = JSON.stringify([entry.deviceId, labelsKey(entry.labels)]);
    if (isPageUrl(entry.url)) {
      const key = JSON.stringify([series, entry.url.origin, entry.url.pagePath]);
      const others = pages.get(key) ?? [];
      const stands = others.every((other) => pagesMayStand(other, entry, problems));
      if (stands) pages.set(key, [...others, entry]);
      return stands;
    }
    const key = JSON.stringify([series, entry.name]);
    const other = metrics.get(key);
    if (other === undefined) {
      metrics.set(key, entry);
      return true;
    }
    problems.error(
      entry.place,
      `device ${shown(entry.deviceId)} has the metric ${shown(entry.name)} with the same labels already, at ${formatPlace(other.place)}`,
      'remove one of them, or tell them apart by a label',
    );
    return false;
  });
}

/**
 * Two selections of one page. A few names and the whole page, the latter or both on demand, is how Kwollect's sites
 * write it: with one period both are read by one request and each value is stored once. Twice the same selection, or
 * the same names always, is a mistake.
 */
function pagesMayStand(first: MetricEntry, second: MetricEntry, problems: ProblemList): boolean {
  const common = commonNames(first.url as PageUrl, second.url as PageUrl);
  if (common.length === 0) return true;
  const what = common === 'all' ? 'the whole page' : list(common);
  const where = formatPlace(first.place);
  const alike = first.name === second.name || common === 'all';
  if (first.optional === second.optional && (alike || !first.optional)) {
    problems.error(
      second.place,
      `device ${shown(second.deviceId)} reads ${what} of ${second.url.hostPort} already, at ${where}`,
      'name each metric in one of the urls only',
    );
    return false;
  }
  const [firstMs, secondMs] = [first, second].map(periodOnDemand) as [number, number];
  if (firstMs !== secondMs) {
    problems.warning(
      second.place,
      `while promoted, ${what} of ${second.url.hostPort} is stored every ${firstMs} ms and every ${secondMs} ms, see ${where}`,
      'give both the same period',
    );
  }
  return true;
}

/** How often an entry is read while everything on demand is. */
function periodOnDemand({ optional, optionalUpdateEveryMs, updateEveryMs }: MetricEntry): number {
  return optional ? (optionalUpdateEveryMs ?? updateEveryMs) : updateEveryMs;
}

function list(names: readonly string[]): string {
  const few = names.slice(0, 3).map(shown).join(', ');
  return names.length > 3 ? `${few} and ${names.length - 3} more` : few;
}
