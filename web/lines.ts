/**
 * From columns as the server gives them to the lines of a chart: one for each device, metric and set of labels. Several
 * origins of one alias (two supplies of a node) are added up, each by its last value within its usual distance. No DOM.
 */

/** One series of `/kw/envelope`. */
export interface SeriesColumns {
  readonly device_id: string;
  readonly metric_id: string;
  readonly labels: Readonly<Record<string, unknown>>;
  readonly unit?: string | undefined;
  readonly column: readonly number[];
  readonly min: readonly number[];
  readonly max: readonly number[];
  readonly mean: readonly number[];
  readonly count: readonly number[];
}

/** A value a column; undefined where the line goes on without one, null where it is interrupted. */
export type Values = (number | null | undefined)[];

export interface Line {
  readonly key: string;
  readonly device: string;
  readonly metric: string;
  /** Without those that kw made; for people. */
  readonly labels: string;
  readonly origins: readonly string[];
  readonly unit: string;
  readonly min: Values;
  readonly max: Values;
  readonly mean: Values;
  readonly count: readonly number[];
}

const ORIGINS = '_device_orig';
/** So many usual distances without a value are an interruption. */
const GAP = 3.5;
const CARRY = 1.5;

export function makeLines(series: readonly SeriesColumns[], columns: number): Line[] {
  const groups = new Map<string, SeriesColumns[]>();
  for (const one of series) {
    const key = keyOf(one);
    const group = groups.get(key);
    if (group) group.push(one);
    else groups.set(key, [one]);
  }
  return [...groups].map(([key, group]) => makeLine(key, group, columns));
}

/** Stands in URLs: short for most. */
function keyOf({ device_id, metric_id, labels }: SeriesColumns): string {
  const text = labelText(labels);
  return text === '' ? `${device_id}/${metric_id}` : `${device_id}/${metric_id}{${text}}`;
}

function labelText(labels: Readonly<Record<string, unknown>>): string {
  return Object.entries(labels)
    .filter(([name]) => !name.startsWith('_'))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
}

function makeLine(key: string, group: readonly SeriesColumns[], columns: number): Line {
  const [first] = group as [SeriesColumns];
  const dense = group.map((one) => makeDense(one, columns));
  const [only] = dense;
  const line = dense.length === 1 && only !== undefined ? only : sum(dense, columns);
  const gap = Math.max(GAP * usualDistance(line.at), 2);
  return {
    key,
    device: first.device_id,
    metric: first.metric_id,
    labels: labelText(first.labels),
    origins: group.flatMap(({ labels }) =>
      Array.isArray(labels[ORIGINS]) ? labels[ORIGINS].map(String) : [],
    ),
    unit: first.unit ?? '',
    min: withGaps(line.at, line.min, columns, gap),
    max: withGaps(line.at, line.max, columns, gap),
    mean: withGaps(line.at, line.mean, columns, gap),
    count: line.count,
  };
}

interface Dense {
  /** Columns with values, rising. */
  readonly at: number[];
  readonly min: number[];
  readonly max: number[];
  readonly mean: number[];
  readonly count: number[];
}

function makeDense(series: SeriesColumns, columns: number): Dense {
  const empty = () => new Array<number>(columns).fill(Number.NaN);
  const dense: Dense = { at: [], min: empty(), max: empty(), mean: empty(), count: empty().fill(0) };
  for (const [index, column] of series.column.entries()) {
    if (!(column >= 0 && column < columns)) continue;
    dense.at.push(column);
    dense.min[column] = series.min[index] ?? Number.NaN;
    dense.max[column] = series.max[index] ?? Number.NaN;
    dense.mean[column] = series.mean[index] ?? Number.NaN;
    dense.count[column] = series.count[index] ?? 0;
  }
  return dense;
}

/** Lowest and highest of a sum are bounds: those of the origins need not have met. */
function sum(origins: readonly Dense[], columns: number): Dense {
  const total = makeDense({ column: [] } as unknown as SeriesColumns, columns);
  const carry = origins.map(({ at }) => Math.max(CARRY * usualDistance(at), 1));
  const lastAt = origins.map(() => Number.NEGATIVE_INFINITY);
  for (let column = 0; column < columns; column++) {
    const alive: { origin: Dense; at: number }[] = [];
    let isNew = false;
    for (const [index, origin] of origins.entries()) {
      if ((origin.count[column] ?? 0) > 0) {
        lastAt[index] = column;
        isNew = true;
      }
      const at = lastAt[index] as number;
      if (column - at <= (carry[index] ?? 0)) alive.push({ origin, at });
    }
    // An origin that is alive elsewhere in the view but not here: no sum is better than half of one.
    if (!isNew || alive.length < origins.length) continue;
    total.at.push(column);
    for (const name of ['min', 'max', 'mean'] as const) {
      total[name][column] = alive.reduce((value, { origin, at }) => value + (origin[name][at] ?? 0), 0);
    }
    total.count[column] = alive.reduce((count, { origin }) => count + (origin.count[column] ?? 0), 0);
  }
  return total;
}

/** The median. */
function usualDistance(at: readonly number[]): number {
  const distances = at.slice(1).map((column, index) => column - (at[index] as number));
  distances.sort((a, b) => a - b);
  return distances[Math.floor(distances.length / 2)] ?? 1;
}

function withGaps(at: readonly number[], dense: readonly number[], columns: number, gap: number): Values {
  const values: Values = new Array(columns).fill(null);
  for (const [index, column] of at.entries()) {
    const next = at[index + 1];
    values[column] = dense[column] ?? null;
    if (next === undefined || next - column > gap) continue;
    for (let between = column + 1; between < next; between++) values[between] = undefined;
  }
  return values;
}

/** Lines of one unit share a panel, in the order of their first line. */
export function panelsOf(lines: readonly Line[]): { unit: string; lines: Line[] }[] {
  const panels: { unit: string; lines: Line[] }[] = [];
  for (const line of lines) {
    // Without a unit only the same metric is comparable.
    const unit = line.unit || line.metric;
    const panel = panels.find((one) => one.unit === unit);
    if (panel) panel.lines.push(line);
    else panels.push({ unit, lines: [line] });
  }
  return panels;
}

/** Columns in which any of the lines has values, rising. */
export function filledColumns(lines: readonly Line[], columns: number): number[] {
  const filled: number[] = [];
  for (let column = 0; column < columns; column++) {
    if (lines.some(({ count }) => (count[column] ?? 0) > 0)) filled.push(column);
  }
  return filled;
}

export interface Figures {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly count: number;
}

/** Of the columns from `first` to `last`, both included; undefined where there is none. */
export function figuresOf(line: Line, first = 0, last = line.count.length - 1): Figures | undefined {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let total = 0;
  let count = 0;
  for (let column = Math.max(first, 0); column <= Math.min(last, line.count.length - 1); column++) {
    const mean = line.mean[column];
    const weight = line.count[column] ?? 0;
    if (mean === null || mean === undefined || weight === 0) continue;
    min = Math.min(min, line.min[column] ?? mean);
    max = Math.max(max, line.max[column] ?? mean);
    total += mean * weight;
    count += weight;
  }
  return count === 0 ? undefined : { min, max, mean: total / count, count };
}
