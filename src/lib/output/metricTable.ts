/** `kw metrics` for people. */
import { append } from '../append.ts';
import { printable } from '../printable.ts';
import { formatAge } from '../time.ts';
import { alignNumbers, type Column, numberFor, renderTable } from './table.ts';

export interface MetricLine {
  readonly device: string;
  readonly metric: string;
  readonly origin?: string | undefined;
  readonly state: string;
  readonly entry?: string | undefined;
  readonly periodMs?: number | undefined;
  readonly unit?: string | undefined;
  readonly description?: string | undefined;
  readonly lastUs?: number | undefined;
  readonly lastValue?: number | undefined;
  readonly lastText?: string | undefined;
}

/** One line a metric of a device. */
export function metricTable(metrics: readonly MetricLine[], atUs: number, width?: number): string {
  return renderTable(
    present([
      { head: 'device', cells: metrics.map(({ device }) => printable(device)) },
      { head: 'metric', cells: metrics.map(({ metric }) => printable(metric)) },
      { head: 'origin', cells: metrics.map(({ origin }) => printable(origin ?? '')) },
      { head: 'last value', cells: alignNumbers(metrics.map(lastText)), right: true },
      { head: 'unit', cells: metrics.map(({ unit }) => printable(unit ?? '')) },
      { head: 'age', cells: metrics.map(({ lastUs }) => age(lastUs, atUs)), right: true },
      { head: 'period', cells: metrics.map(({ periodMs }) => period(periodMs)), right: true },
      { head: 'read', cells: metrics.map(({ state }) => state) },
      { head: 'enabled as', cells: metrics.map(({ entry }) => printable(entry ?? '')) },
      { head: 'description', cells: metrics.map(({ description }) => printable(description ?? '')) },
    ]),
    width,
  );
}

/** One line a metric: on how many devices, and how fresh the freshest value is. */
export function metricOverview(metrics: readonly MetricLine[], atUs: number, width?: number): string {
  const groups = new Map<string, MetricLine[]>();
  for (const line of metrics) {
    const key = JSON.stringify([line.metric, line.state, line.entry, line.periodMs, line.unit]);
    append(groups, key, line);
  }
  const rows = [...groups.values()].flatMap((lines) => {
    const [first] = lines;
    return first === undefined
      ? []
      : [{ first, devices: [...new Set(lines.map(({ device }) => device))], lines }];
  });
  rows.sort((a, b) => (a.first.metric < b.first.metric ? -1 : a.first.metric > b.first.metric ? 1 : 0));
  const freshest = (lines: readonly MetricLine[]) =>
    lines.reduce<number | undefined>(
      (last, { lastUs }) => (lastUs === undefined ? last : Math.max(last ?? lastUs, lastUs)),
      undefined,
    );
  return renderTable(
    present([
      { head: 'metric', cells: rows.map(({ first }) => printable(first.metric)) },
      { head: 'unit', cells: rows.map(({ first }) => printable(first.unit ?? '')) },
      { head: 'period', cells: rows.map(({ first }) => period(first.periodMs)), right: true },
      { head: 'read', cells: rows.map(({ first }) => first.state) },
      { head: 'enabled as', cells: rows.map(({ first }) => printable(first.entry ?? '')) },
      { head: 'devices', cells: rows.map(({ devices }) => someNames(devices)) },
      { head: 'age', cells: rows.map(({ lines }) => age(freshest(lines), atUs)), right: true },
      { head: 'description', cells: rows.map(({ first }) => printable(first.description ?? '')) },
    ]),
    width,
  );
}

/** Columns that have something to say. */
function present(columns: readonly Column[]): Column[] {
  return columns.filter(({ cells }) => cells.some((cell) => cell !== ''));
}

function someNames(names: readonly string[]): string {
  const shown = names.slice(0, 3).map(printable).join(', ');
  return names.length > 3 ? `${names.length}: ${shown}, …` : shown;
}

function lastText({ lastValue, lastText: text }: MetricLine): string {
  if (text !== undefined) return printable(text.length > 40 ? `${text.slice(0, 39)}…` : text);
  return lastValue === undefined ? '' : numberFor(lastValue);
}

function age(lastUs: number | undefined, atUs: number): string {
  return lastUs === undefined ? '' : formatAge(atUs - lastUs);
}

function period(periodMs: number | undefined): string {
  if (periodMs === undefined) return '';
  return periodMs % 1000 === 0 ? `${periodMs / 1000} s` : `${periodMs} ms`;
}
