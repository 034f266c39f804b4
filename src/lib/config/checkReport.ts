/** The text of `kw config check`. */
import { isAbsolute, relative } from 'node:path';
import type { ConfigCheck } from './check.ts';
import type { Collection } from './collection.ts';
import { formatProblem } from './place.ts';

/** Problems a line each, then what is read and what would be collected. Paths below `cwd` are shortened. */
export function checkReport(check: ConfigCheck, cwd: string): string {
  const { always, onDemand } = check.collection;
  return [
    ...check.problems.map((problem) => {
      const place = { ...problem.place, file: shortPath(problem.place.file, cwd) };
      return formatProblem({ ...problem, place });
    }),
    ...(check.problems.length > 0 ? [''] : []),
    `settings   ${check.settingsFile === undefined ? 'no kw.yaml, so the defaults' : shortPath(check.settingsFile, cwd)}`,
    `metrics    ${shortPath(check.metricsDir, cwd)}`,
    `collected  ${inWords(always)}`,
    `on demand  ${inWords(onDemand)}`,
    `${counted(check.errors, 'error')}, ${counted(check.warnings, 'warning')}`,
  ].join('\n');
}

function inWords({ devices, metrics, wholePages, valuesPerSecond }: Collection): string {
  if (devices === 0) return 'nothing';
  const pages = wholePages === 0 ? '' : `, and ${counted(wholePages, 'whole Prometheus page')}`;
  return `${counted(devices, 'device')}, ${counted(metrics, 'metric')}, ${valuesPerSecond} values a second${pages}`;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function shortPath(path: string, cwd: string): string {
  const short = relative(cwd, path);
  return short === '' || short.startsWith('..') || isAbsolute(short) ? path : short;
}
