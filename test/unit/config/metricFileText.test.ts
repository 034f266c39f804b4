// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references look like ${env:NAME}
/** The metric file that `kw device discover` writes. */
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { metricFileText, variablesOf } from '../../../src/lib/config/metricFileText.ts';
import type { Discovered } from '../../../src/lib/devices/discover.ts';
import type { Finding } from '../../../src/lib/devices/driver.ts';

const outlet: Finding = {
  metricId: 'pdu_outlet_power_watt',
  url: 'snmp://${env:SNMP_COMMUNITY}@pdu-1/1.3.6.1.4.1.318.1.1.26.9.4.3.1.7.7',
  unit: 'watt',
  description: 'Power of outlet 7',
  labels: { outlet: '7', outlet_name: 'node-7' },
  part: { id: 'outlet-7', labels: ['outlet', 'outlet_name'], alias: 'node-7' },
  periodMs: 1000,
  value: 151,
  rank: 0,
};
const temperature: Finding = {
  metricId: 'pdu_temp_celsius',
  url: 'snmp://${env:SNMP_COMMUNITY}@pdu-1/1.2.{{ 1.3 == rack: front #1 }}',
  unit: 'celsius',
  description: 'Temperature',
  labels: { sensor: 'rack: front #1' },
  periodMs: 10_000,
  scaleFactor: 0.1,
  value: 23.5,
  rank: 2,
};
const found = (...findings: Finding[]): Discovered => ({
  safeUrl: 'snmp://***@pdu-1',
  deviceId: 'pdu-1',
  profiles: ['apc-rpdu2'],
  findings,
  problems: [],
  about: [{ name: 'sysDescr', text: 'APC' }],
});

describe('a metric file from a device', () => {
  it('has a head, a part for each kind, and values as comments', () => {
    expect(metricFileText(found(outlet, temperature), { date: '2026-11-22' })).toBe(
      `# 2 metrics of pdu-1, found by kw device discover on 2026-11-22.
# Asked: snmp://***@pdu-1; profiles: apc-rpdu2.
# sysDescr: APC

# Behind each name stands its value at that time. Put this file into metrics.d, run "kw config check",
# and see the values with "kw collect --once --dry-run".

# Set SNMP_COMMUNITY in the environment of kw before that, or write \${file:PATH} in the place of
# \${env:SNMP_COMMUNITY}, or name a credential of kw.yaml: secrets are not written into this file.

# To give an outlet to the node behind it, add "_device_alias: NODE" to its labels. Where the outlets are named
# after the nodes, kw device discover --alias-names does that.

# Power
- name: pdu_outlet_power_watt # 151 watt
  device_id: pdu-1
  url: snmp://\${env:SNMP_COMMUNITY}@pdu-1/1.3.6.1.4.1.318.1.1.26.9.4.3.1.7.7
  update_every: 1000
  labels: { outlet: "7", outlet_name: node-7 }
  unit: watt
  description: Power of outlet 7

# Temperature
- name: pdu_temp_celsius # 23.5 celsius
  device_id: pdu-1
  url: "snmp://\${env:SNMP_COMMUNITY}@pdu-1/1.2.{{ 1.3 == rack: front #1 }}"
  update_every: 10000
  scale_factor: 0.1
  labels: { sensor: "rack: front #1" }
  unit: celsius
  description: Temperature
`,
    );
  });

  it('takes one period, a credential and an alias for all', () => {
    const text = metricFileText(found(outlet), {
      date: '2026-11-22',
      credential: 'pdus',
      periodMs: 5000,
      alias: 'node-1',
    });
    expect(parse(text)).toEqual([
      {
        name: 'pdu_outlet_power_watt',
        device_id: 'pdu-1',
        url: outlet.url,
        credential: 'pdus',
        update_every: 5000,
        labels: { _device_alias: 'node-1', outlet: '7', outlet_name: 'node-7' },
        unit: 'watt',
        description: 'Power of outlet 7',
      },
    ]);
  });

  it('makes outlets that are named after nodes devices of their own, so that two of one node add up', () => {
    const other = {
      ...outlet,
      url: 'snmp://x@pdu-1/1.8',
      labels: { outlet: '8', outlet_name: 'node-7' },
      part: { id: 'outlet-8', labels: ['outlet', 'outlet_name'], alias: 'node-7' },
    };
    const blank = { ...outlet, part: { id: 'outlet-9', labels: ['outlet'], alias: 'the big one' } };
    const text = metricFileText(found(outlet, other, blank), { date: '2026-11-22', aliasNames: true });
    expect(parse(text)).toMatchObject([
      { device_id: 'pdu-1-outlet-7', labels: { _device_alias: 'node-7' } },
      { device_id: 'pdu-1-outlet-8', labels: { _device_alias: 'node-7' } },
      { device_id: 'pdu-1', labels: { outlet: '7', outlet_name: 'node-7' } },
    ]);
    expect(text).not.toContain('To give an outlet');
  });

  it('says what a device says, and nothing else, whatever it says', () => {
    const evil = [
      'a\n- name: injected',
      '"quoted" \'single\' # comment',
      '*alias &anchor !!tag | > % @ `',
      '\u001b]0;title\u0007',
      '\u2028\u0085\ufeff',
      '- x',
      'null',
      '0x1f',
      '{a: b}',
      '[1',
      '? key',
      '...',
      '---',
    ];
    for (const text of evil) {
      const finding = {
        ...outlet,
        labels: { sensor: text },
        description: text,
        value: text,
        part: undefined,
      };
      const written = metricFileText(
        { ...found(finding), deviceId: 'pdu-1', about: [{ name: 'sysDescr', text }] },
        { date: '2026-11-22' },
      );
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
      expect(written).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u0085\u2028\ufeff]/);
      const entries = parse(written);
      expect(entries).toHaveLength(1);
      expect(Object.keys(entries[0])).toEqual([
        'name',
        'device_id',
        'url',
        'update_every',
        'labels',
        'unit',
        'description',
      ]);
      expect(typeof entries[0].labels.sensor).toBe('string');
    }
  });

  it('names the variables that must be set', () => {
    expect(variablesOf(['snmp://${env:A}@h/1', 'snmp://${env:A}@h/2?auth_key=${env:B}', 'x'])).toEqual([
      'A',
      'B',
    ]);
  });
});
