// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references look like ${env:NAME}
/** Names that `kw device discover` gives: units, metrics, texts of devices, secrets. */
import { describe, expect, it } from 'vitest';
import { metricNameAdvice } from '../../../src/lib/config/metricName.ts';
import type { Finding } from '../../../src/lib/devices/driver.ts';
import {
  baseUnit,
  deviceLabels,
  deviceText,
  metricName,
  rankOfUnit,
  sensorMetricName,
  tellApart,
  writableSecret,
} from '../../../src/lib/devices/naming.ts';

describe('a unit', () => {
  it.each([
    ['W', 'watt', 1],
    ['mW', 'watt', 0.001],
    ['kWh', 'joule', 3_600_000],
    ['degrees C', 'celsius', 1],
    ['mA', 'ampere', 0.001],
    ['%', 'ratio', 0.01],
    [' RPM ', 'rpm', 1],
  ])('%s becomes %s', (text, unit, scale) => {
    expect(baseUnit(text)).toEqual({ unit, scale });
  });

  it.each(['', 'furlong', 'constructor', '__proto__'])('%j is none that is known', (text) => {
    expect(baseUnit(text)).toBeUndefined();
  });
});

describe('the name of a metric', () => {
  it('ends with unit and _total, in small letters, digits and _', () => {
    expect(metricName(['pdu', 'outlet', 'power'], 'watt')).toBe('pdu_outlet_power_watt');
    expect(metricName(['pdu', 'energy'], 'joule', { counter: true })).toBe('pdu_energy_joule_total');
    expect(metricName(['Été --', '', '12V (rail)'])).toBe('ete_12v_rail');
    expect(metricName(['12V'])).toBe('_12v');
    expect(metricName(['\u0000'])).toBe('value');
  });

  it.each([
    ['CPU1 Temp', 'celsius', 'bmc_cpu_temp_celsius'],
    ['P2 Temp', 'celsius', 'bmc_cpu_temp_celsius'],
    ['System Board Inlet Temp', 'celsius', 'bmc_ambient_temp_celsius'],
    ['01-Inlet Ambient', 'celsius', 'bmc_ambient_temp_celsius'],
    ['Exhaust_Temp', 'celsius', 'bmc_exhaust_temp_celsius'],
    ['PSU1 Temp', 'celsius', 'bmc_psu_temp_celsius'],
    ['Chipset', 'celsius', 'bmc_other_temp_celsius'],
    ['System Board Pwr Consumption', 'watt', 'bmc_node_power_watt'],
    ['Pwr Consumption', 'watt', 'bmc_node_power_watt'],
    ['PS1 Input Power', 'watt', 'bmc_psu_power_watt'],
    ['CPU Power', 'watt', 'bmc_cpu_power_watt'],
    ['System Board Fan1A', 'rpm', 'bmc_fan_speed_rpm'],
    ['Voltage 12V', 'volt', 'bmc_voltage_volt'],
    ['PS1 Current', 'ampere', 'bmc_psu_current_ampere'],
    ['Rack humidity', 'ratio', 'bmc_humidity_ratio'],
    ['CPU Usage', 'ratio', 'bmc_cpu_usage_ratio'],
  ])('of the sensor %s in %s is %s, which is good by the rules', (sensor, unit, name) => {
    expect(sensorMetricName('bmc', sensor, unit)).toBe(name);
    expect(metricNameAdvice(name, '')).toEqual([]);
  });

  it('stands where its unit belongs: power, energy, temperature, the others', () => {
    expect(['watt', 'joule', 'celsius', 'volt', 'byte', undefined].map(rankOfUnit)).toEqual([
      0, 1, 2, 3, 9, 9,
    ]);
  });
});

describe('text of a device', () => {
  it('becomes one line without anything that acts, cut', () => {
    expect(deviceText(' a\u001b[31m\n\tb\u202e\u0000c ')).toBe('a [31m b c');
    expect(deviceText('x'.repeat(200), 5)).toBe('xxxxx...');
    expect(deviceText('\ud83d')).toBe('\ufffd');
    expect(deviceLabels({ a: ' ', b: undefined, c: 'x' })).toEqual({ c: 'x' });
  });
});

describe('a secret that is written', () => {
  it('stays what it is as a reference, and becomes one if it was typed', () => {
    expect(writableSecret('${env:A}', 'SNMP_COMMUNITY')).toBe('${env:A}');
    expect(writableSecret('${file:/etc/x}', 'SNMP_COMMUNITY')).toBe('${file:/etc/x}');
    expect(writableSecret('s3cret', 'SNMP_COMMUNITY')).toBe('${env:SNMP_COMMUNITY}');
    expect(writableSecret('half${env:A}', 'SNMP_COMMUNITY')).toBe('${env:SNMP_COMMUNITY}');
  });
});

describe('findings of one name and labels', () => {
  const finding = (url: string, labels = {}): Finding => ({
    metricId: 'm',
    url,
    labels,
    periodMs: 1000,
    rank: 0,
  });

  it('are numbered; those that read the same are one', () => {
    const found = tellApart([finding('a'), finding('b'), finding('a'), finding('c', { x: '1' })]);
    expect(found.map(({ url, labels }) => [url, labels])).toEqual([
      ['a', { number: '1' }],
      ['b', { number: '2' }],
      ['c', { x: '1' }],
    ]);
  });
});
