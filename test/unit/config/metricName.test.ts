import { describe, expect, it } from 'vitest';
import { metricNameAdvice } from '../../../src/lib/config/metricName.ts';

const URL = 'snmp://h/1.3.6.1.4.1.318';
const IF_HC_IN_OCTETS = 'snmp://***@h:161/1.3.6.1.2.1.31.1.1.1.6';

describe('metricNameAdvice', () => {
  it.each([
    'pdu_outlet_power_watt',
    'wattmetre_power_watt',
    'bmc_ambient_temp_celsius',
    'bmc_node_power_watth_total',
    'network_ifacein_bytes_total',
    'snmp_dumb',
    'bmc_fan_speed_rpm',
    'status',
  ])("has nothing to say about Kwollect's %s", (name) => {
    expect(metricNameAdvice(name, URL)).toEqual([]);
  });

  it.each([
    [
      'pdu-power watt',
      'a metric name has letters, digits and _ only, and begins with a letter',
      'write pdu_power_watt',
    ],
    ['1_watt', 'a metric name has letters, digits and _ only, and begins with a letter', 'write _1_watt'],
    [
      'puissance_\u00e9lectrique',
      'a metric name has letters, digits and _ only, and begins with a letter',
      'write puissance_electrique',
    ],
    ['\u96fb', 'a metric name has letters, digits and _ only, and begins with a letter', undefined],
    ['__power', 'names that begin with __ are reserved by Prometheus', 'write power'],
    [
      'pdu_power_kilowatts',
      'metrics are kept in base units, and the unit of this name is "kilowatts"',
      'write name: pdu_power_watts and scale_factor: 1000',
    ],
    [
      'pdu_energy_kwh_total',
      'metrics are kept in base units, and the unit of this name is "kwh"',
      'write name: pdu_energy_joule_total and scale_factor: 3600000',
    ],
    [
      'net_in_bits_total',
      'metrics are kept in base units, and the unit of this name is "bits"',
      'write name: net_in_bytes_total and scale_factor: 0.125',
    ],
    [
      'poll_ms',
      'metrics are kept in base units, and the unit of this name is "ms"',
      'write name: poll_second and scale_factor: 0.001',
    ],
  ])('says of %s: %s', (name, message, hint) => {
    expect(metricNameAdvice(name, URL)).toEqual([hint === undefined ? { message } : { message, hint }]);
  });

  it('knows the counters of IF-MIB, plain and as a template', () => {
    const advice = [
      {
        message: 'this OID counts up, and the name of a counter ends in _total',
        hint: 'write net_in_bytes_total',
      },
    ];
    expect(metricNameAdvice('net_in_bytes', `${IF_HC_IN_OCTETS}.3`)).toEqual(advice);
    expect(metricNameAdvice('net_in_bytes', `${IF_HC_IN_OCTETS}.{{ 1.3.6 == a }}`)).toEqual(advice);
    expect(metricNameAdvice('net_in_bytes_total', `${IF_HC_IN_OCTETS}.3`)).toEqual([]);
    // ifHighSpeed is a gauge.
    expect(metricNameAdvice('net_speed', 'snmp://h/1.3.6.1.2.1.31.1.1.1.15.3')).toEqual([]);
  });
});
