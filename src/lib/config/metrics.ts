/** Reads metrics.d: every file of it, every error of every file. */
import { readdirSync, statSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { UrlContext } from '../devices/driver.ts';
import { driverFor, knownSchemes } from '../devices/registry.ts';
import { urlContext } from './credentials.ts';
import { refuseDuplicates } from './duplicates.ts';
import { type EntryContext, readEntry } from './entry.ts';
import { readMetricFile } from './metricFile.ts';
import type { MetricEntry } from './model.ts';
import { type ConfigProblem, ProblemList, wholeFile } from './place.ts';
import { reason } from './references.ts';
import type { Settings } from './settingsModel.ts';

export interface LoadedMetrics {
  /** What can be collected, in the order of the files and of their lines; entries with errors are left out. */
  readonly entries: MetricEntry[];
  /** Sorted by place. With an `error` among them, a collector must not take these entries for the whole. */
  readonly problems: ConfigProblem[];
}

/** The protocols that URLs are read with; tests give their own. */
export interface Protocols {
  readonly driverFor: EntryContext['driverFor'];
  readonly knownSchemes: EntryContext['knownSchemes'];
}

const ALL_PROTOCOLS: Protocols = { driverFor, knownSchemes };

/** Reads and checks `settings.metricsDir`. Never throws for what stands in it. No I/O but reading files. */
export function loadMetrics(settings: Settings, protocols: Protocols = ALL_PROTOCOLS): LoadedMetrics {
  const steps = loadInSteps(settings, protocols);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/**
 * As loadMetrics, but lets go of the thread every few milliseconds: for a reload while devices are polled. In
 * one piece remain the parsing of a file with anchors (half a millisecond a kilobyte) and the look for doubles.
 */
export async function loadMetricsGently(
  settings: Settings,
  protocols: Protocols = ALL_PROTOCOLS,
): Promise<LoadedMetrics> {
  const steps = loadInSteps(settings, protocols);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    await setImmediate();
  }
}

function* loadInSteps(settings: Settings, protocols: Protocols): Generator<undefined, LoadedMetrics> {
  const problems = new ProblemList();
  const entries: MetricEntry[] = [];
  for (const path of metricFiles(settings.metricsDir, problems)) {
    const context = { ...protocols, urlContext: urlContexts(settings, dirname(path)) };
    for (const { yaml, maps } of readMetricFile(path, problems)) {
      yield undefined;
      for (const map of maps) {
        const entry = readEntry(yaml, map, context);
        if (entry !== undefined) entries.push(entry);
      }
      yield undefined;
    }
  }
  return { entries: refuseDuplicates(entries, problems), problems: problems.sorted() };
}

/** Kwollect reads every file that is not hidden; Grid'5000's are named `.conf`. */
const METRIC_FILE = /^\.(ya?ml|conf)$/i;

/** The files to read, sorted by name. */
function metricFiles(folder: string, problems: ProblemList): string[] {
  try {
    if (process.getuid !== undefined && (statSync(folder).mode & 0o002) !== 0) {
      problems.error(
        wholeFile(folder),
        'every user of this machine can put files here, so none is read',
        `look at them, then: chmod o-w ${folder}`,
      );
      return [];
    }
    const files: string[] = [];
    for (const item of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, item.name);
      if (item.name.startsWith('.')) continue;
      if (METRIC_FILE.test(extname(item.name))) files.push(path);
      else if (item.isDirectory()) problems.warning(wholeFile(path), 'folders in metrics.d are not read');
      else problems.warning(wholeFile(path), 'not read: its name does not end in .yaml, .yml or .conf');
    }
    if (files.length === 0) {
      problems.warning(
        wholeFile(folder),
        'no metric file here, so nothing is collected',
        'examples/metrics.d shows some',
      );
    }
    return files.sort();
  } catch (error) {
    problems.error(
      wholeFile(folder),
      `cannot read the metric files: ${error instanceof Error && 'code' in error && error.code === 'ENOENT' ? 'there is no such folder' : reason(error)}`,
      'make the folder, or set metrics_dir in kw.yaml',
    );
    return [];
  }
}

/** One context for each credential that the file names: they are the same for all of its entries. */
function urlContexts(settings: Settings, folder: string): EntryContext['urlContext'] {
  const contexts = new Map<string | undefined, UrlContext>();
  return (credential) => {
    const known = contexts.get(credential) ?? urlContext(settings, folder, credential);
    contexts.set(credential, known);
    return known;
  };
}
