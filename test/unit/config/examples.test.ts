/** The files that people start from, read by the real drivers. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../../src/lib/config/check.ts';
import { loadMetrics, loadMetricsGently } from '../../../src/lib/config/metrics.ts';
import { formatProblem } from '../../../src/lib/config/place.ts';
import { inFolder, settingsOf } from './support.ts';

const root = join(import.meta.dirname, '../../..');
const examples = join(root, 'examples');

function metricsOf(folder: string, files: readonly string[]) {
  const copies = files.map((file) => [`metrics.d/${file}`, readFileSync(join(folder, file), 'utf8')]);
  return inFolder(Object.fromEntries(copies), (copy) => {
    const settings = { ...settingsOf(copy).settings, metricsDir: join(copy, 'metrics.d') };
    const { entries, problems } = loadMetrics(settings);
    return { entries, problems: problems.map((p) => formatProblem(p).replace(/^\S*\//, '')) };
  });
}

function periodsOf(file: string) {
  const { entries, problems } = metricsOf(join(examples, 'metrics.d'), [file]);
  expect(problems).toEqual([]);
  return [...new Set(entries.map(({ updateEveryMs }) => updateEveryMs))].sort((a, b) => a - b);
}

describe('the example', () => {
  it.each([
    ['pdu.yaml', [1000, 10_000]],
    ['bmc.yaml', [5000]],
    ['ipmi.yaml', [5000]],
    ['network.yaml', [1000, 5000, 10_000]],
    ['redfish.yaml', [5000, 15_000]],
    ['modbus.yaml', [1000]],
    ['mqtt.yaml', [1000, 10_000]],
    ['exporter.yaml', [15_000]],
    ['wattmeter.yaml', [1000]],
  ])('%s loads and has the periods of the default set', (file, periods) => {
    expect(periodsOf(file)).toEqual(periods);
  });

  it('wattmeter.yaml reads wattmeters always and faster on demand, and outlets on demand only', () => {
    const { entries } = metricsOf(join(examples, 'metrics.d'), ['wattmeter.yaml']);
    const periods = entries.map(({ deviceId, optional, optionalUpdateEveryMs }) => [
      deviceId,
      optional,
      optionalUpdateEveryMs,
    ]);
    expect(periods).toEqual([
      ['wattmetre1', false, 20],
      ['wattmetre2', false, 20],
      ['pdu-1-port1', true, undefined],
      ['pdu-1-port2', true, undefined],
    ]);
  });

  it('metrics.d loads as a whole, and the list above is all of it', () => {
    const files = readdirSync(join(examples, 'metrics.d'));
    expect(files.sort()).toEqual([
      'bmc.yaml',
      'exporter.yaml',
      'ipmi.yaml',
      'modbus.yaml',
      'mqtt.yaml',
      'network.yaml',
      'pdu.yaml',
      'redfish.yaml',
      'wattmeter.yaml',
    ]);
    expect(metricsOf(join(examples, 'metrics.d'), files).problems).toEqual([]);
  });

  it('kw.yaml says the defaults', () => {
    const text = readFileSync(join(examples, 'kw.yaml'), 'utf8');
    const settings = (yaml: string) =>
      inFolder({ 'kw.yaml': yaml }, (folder) => {
        const { settings, problems } = settingsOf(folder);
        expect(problems.map(formatProblem)).toEqual([]);
        return JSON.parse(
          JSON.stringify({ ...settings, databaseUrl: undefined, token: undefined }).replaceAll(folder, 'DIR'),
        );
      });
    const defaults = settings('');
    expect(settings(text)).toEqual(defaults);
    // From log_level on, what is commented out is the default; credentials and the collector's name are examples.
    const from = text.indexOf('#log_level');
    const uncommented = text.slice(0, from) + text.slice(from).replaceAll(/^#(?=[a-z]| {2})/gm, '');
    const all = settings(uncommented.replace(/^credentials:.*?(?=^collector:)/ms, ''));
    expect({ ...all, collector: { ...all.collector, name: undefined } }).toEqual(defaults);
  });
});

describe("Kwollect's own files", () => {
  it('load as they stand', () => {
    const { entries, problems } = metricsOf(join(root, 'test/fixtures'), ['kwollect-forms.yaml']);
    expect(problems).toEqual([]);
    expect(
      entries.map((e) => [
        e.name,
        e.url.hostPort,
        e.updateEveryMs,
        e.optional,
        e.scaleFactor,
        { ...e.labels },
      ]),
    ).toEqual([
      ['idrac_power_watth_total', 'graphite-1-bmc.site.example.org:161', 5000, false, undefined, {}],
      [
        'idrac_power_watt',
        'graphite-1-bmc.site.example.org:161',
        5000,
        false,
        undefined,
        { _device_alias: 'graphite-1-bmc' },
      ],
      ['snmp_template', '127.0.0.1:161', 10_000, false, undefined, {}],
      [
        'network_ifacein_bytes_total',
        'gw.site.example.org:161',
        1000,
        true,
        undefined,
        { interface: 'eth1', _device_alias: 'graphite-1' },
      ],
      ['pdu_outlet_power_watt', 'pdu-3.site.example.org:161', 10_000, false, 10, {}],
      ['prom_default_metrics', 'graphite-1.site.example.org:9100', 15_000, false, undefined, {}],
      ['prom_all_metrics', 'graphite-1.site.example.org:9100', 15_000, true, undefined, {}],
      ['bmc_ambient_temp_celsius', 'graphite-2-bmc.site.example.org:623', 5000, false, undefined, {}],
    ]);
  });

  it('give the same when read gently', async () => {
    const settings = { ...settingsOf(root).settings, metricsDir: join(root, 'test/fixtures') };
    expect(await loadMetricsGently(settings)).toEqual(loadMetrics(settings));
  });

  it('are counted as Kwollect would collect them', () => {
    const read = settingsOf(root);
    const settings = { ...read.settings, metricsDir: join(root, 'test/fixtures') };
    const { collection } = checkConfig({ ...read, settings });
    expect(collection).toEqual({
      always: { devices: 4, metrics: 9, wholePages: 0, valuesPerSecond: 1.067 },
      onDemand: { devices: 2, metrics: 1, wholePages: 1, valuesPerSecond: 1 },
    });
  });
});
