/** What an entry of the configuration has when its file is silent. */
import type { MetricEntry } from '../../src/lib/config/model.ts';

export const ENTRY_DEFAULTS = {
  updateEveryMs: 1000,
  optionalUpdateEveryMs: undefined,
  scaleFactor: undefined,
  labels: {},
  optional: false,
  unit: undefined,
  description: undefined,
  timeoutMs: undefined,
  place: { file: 'metrics.yaml', line: 1, column: 1 },
} satisfies Partial<MetricEntry>;
