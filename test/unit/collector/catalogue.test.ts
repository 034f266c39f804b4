/** What the catalogue says of series on pages: they are read as the entry is that gives them. */
import { describe, expect, it } from 'vitest';
import { Catalogue } from '../../../src/lib/collector/catalogue.ts';
import type { MetricEntry } from '../../../src/lib/config/model.ts';
import { prometheusDriver } from '../../../src/lib/devices/prometheus/driver.ts';
import { ENTRY_DEFAULTS } from '../../support/entryDefaults.ts';

function page(name: string, url: string, more: Partial<MetricEntry> = {}): MetricEntry {
  return {
    ...ENTRY_DEFAULTS,
    deviceId: 'node-1',
    name,
    url: prometheusDriver.parseUrl(url, { resolveSecret: (text) => text }),
    driver: prometheusDriver,
    ...more,
  } as MetricEntry;
}

const some = page('prom_default_metrics', 'prometheus://127.0.0.1:9100/node_load1', {
  updateEveryMs: 15_000,
});
const all = page('prom_all_metrics', 'prometheus://127.0.0.1:9100/', {
  updateEveryMs: 10_000,
  optional: true,
  optionalUpdateEveryMs: 5_000,
});
const other = page('prom_gpu', 'prometheus://127.0.0.1:9400/');

function found(catalogue: Catalogue) {
  const rows = catalogue.all().filter(({ metricId, entryName }) => metricId !== entryName);
  return rows.map(({ metricId, entryName, optional, periodMs, optionalPeriodMs }) => [
    metricId,
    entryName,
    optional,
    periodMs,
    optionalPeriodMs,
  ]);
}

describe('a series that was seen on a page', () => {
  const catalogue = new Catalogue();

  it('is optional if only an optional entry gives it', () => {
    catalogue.configure([all, some, other]);
    for (const metricId of ['prom_node_load1', 'prom_node_load5']) {
      catalogue.discover({ deviceId: 'node-1', metricId, labels: {} }, all.url);
    }
    catalogue.discover({ deviceId: 'node-1', metricId: 'prom_watt', labels: {} }, other.url);
    expect(found(catalogue)).toEqual([
      ['prom_node_load1', 'prom_default_metrics', false, 15_000, null],
      ['prom_node_load5', 'prom_all_metrics', true, 10_000, 5_000],
      ['prom_watt', 'prom_gpu', false, 1_000, null],
    ]);
  });

  it('follows a new configuration, and is forgotten with the last entry that gives it', () => {
    catalogue.configure([{ ...all, optional: false }, some]);
    expect(found(catalogue)).toEqual([
      ['prom_node_load1', 'prom_all_metrics', false, 10_000, 5_000],
      ['prom_node_load5', 'prom_all_metrics', false, 10_000, 5_000],
    ]);
    catalogue.configure([some]);
    expect(found(catalogue)).toEqual([['prom_node_load1', 'prom_default_metrics', false, 15_000, null]]);
  });
});
