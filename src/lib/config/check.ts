/** Everything that can be said about a configuration without asking a device or a database. */
import { dirname } from 'node:path';
import { KwError } from '../errors.ts';
import { type CollectionSummary, summarize } from './collection.ts';
import { loadMetrics, type Protocols } from './metrics.ts';
import { type ConfigProblem, comparePlaces } from './place.ts';
import { resolveReferences } from './references.ts';
import type { ReadSettings } from './settings.ts';

export interface ConfigCheck {
  /** kw.yaml, if there is one. */
  readonly settingsFile: string | undefined;
  readonly metricsDir: string;
  readonly errors: number;
  readonly warnings: number;
  /** Sorted by file, line and column. */
  readonly problems: readonly ConfigProblem[];
  /** What would be collected if the entries with errors were left out. */
  readonly collection: CollectionSummary;
}

export function checkConfig(read: ReadSettings, protocols?: Protocols): ConfigCheck {
  const { entries, problems: metricProblems } = loadMetrics(read.settings, protocols);
  const problems = [...read.problems, ...checkReferences(read), ...metricProblems];
  problems.sort((a, b) => comparePlaces(a.place, b.place));
  return {
    settingsFile: read.settings.file,
    metricsDir: read.settings.metricsDir,
    errors: problems.filter(({ severity }) => severity === 'error').length,
    warnings: problems.filter(({ severity }) => severity === 'warning').length,
    problems,
    collection: summarize(entries),
  };
}

/** References that stand for nothing here. Commands meet them only when they need what they stand for. */
function checkReferences({ settings, references }: ReadSettings): ConfigProblem[] {
  const source = { folder: dirname(settings.file ?? '.'), env: process.env };
  return references.flatMap(({ place, text }): ConfigProblem[] => {
    try {
      resolveReferences(text, source);
      return [];
    } catch (error) {
      if (!(error instanceof KwError)) throw error;
      const hint = error.hint === undefined ? {} : { hint: error.hint };
      return [{ place, severity: 'error', message: error.message, ...hint }];
    }
  });
}
