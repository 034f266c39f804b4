/**
 * APC rack PDUs (PowerNet-MIB, enterprise 318). rPDU2 (1.1.26) is that of AP8xxx and later, rPDU (1.1.12) that of
 * AP7xxx, which rPDU2 devices answer as well. Units are those of the MIB's descriptions: hundredths of kW, tenths
 * of kWh, tenths of A, W for outlets; -1 is "not supported by this model".
 */
import { metricName } from '../../naming.ts';
import { isKnown, type Measure, outletOf, PDU_MS, type Profile, type Row, SLOW_MS } from './profile.ts';

const RPDU2 = '1.3.6.1.4.1.318.1.1.26';
const RPDU = '1.3.6.1.4.1.318.1.1.12';
/** A tenth of a kWh, in joules. */
const TENTH_KWH = 360_000;

/** PDUs that share one network port (up to four) are modules 1, 2, ... of its tables. */
function moduleOf(row: Row): Record<string, string> {
  const module = row.text('module') ?? '1';
  return module === '1' ? {} : { pdu: module };
}

function known(row: Row, measure: Measure): Measure | undefined {
  return isKnown(row, measure.column) ? measure : undefined;
}

export const apcRpdu2: Profile = {
  name: 'apc-rpdu2',
  isDevice: true,
  title: 'APC rack PDUs AP8xxx and later (PowerNet-MIB rPDU2): outlets, whole PDU, phases, banks, sensors',
  objectIds: ['1.3.6.1.4.1.318.1.3.4.5', '1.3.6.1.4.1.318.1.3.4.6', '1.3.6.1.4.1.318.1.3.4.9'],
  tables: [
    {
      // rPDU2DeviceStatusTable
      columns: {
        module: `${RPDU2}.4.3.1.2`,
        power: `${RPDU2}.4.3.1.5`,
        energy: `${RPDU2}.4.3.1.9`,
        apparentPower: `${RPDU2}.4.3.1.16`,
        powerFactor: `${RPDU2}.4.3.1.17`,
      },
      key: 'power',
      measures(row) {
        const labels = moduleOf(row);
        return [
          known(row, {
            column: 'power',
            metricId: metricName(['pdu', 'total', 'power'], 'watt'),
            unit: 'watt',
            scale: 10,
            description: 'Power of the whole PDU, in steps of 10 W',
            periodMs: PDU_MS,
            labels,
          }),
          known(row, {
            column: 'energy',
            metricId: metricName(['pdu', 'total', 'energy'], 'joule', { counter: true }),
            unit: 'joule',
            scale: TENTH_KWH,
            description: 'Energy of the whole PDU since its counter was last reset, in steps of 0.1 kWh',
            periodMs: SLOW_MS,
            labels,
          }),
          known(row, {
            column: 'apparentPower',
            metricId: metricName(['pdu', 'total', 'apparent_power'], 'voltampere'),
            unit: 'voltampere',
            scale: 10,
            description: 'Apparent power of the whole PDU',
            periodMs: SLOW_MS,
            labels,
          }),
          known(row, {
            column: 'powerFactor',
            metricId: metricName(['pdu', 'total', 'power_factor'], 'ratio'),
            unit: 'ratio',
            scale: 0.01,
            description: 'Power factor of the whole PDU',
            periodMs: SLOW_MS,
            labels,
          }),
        ];
      },
    },
    {
      // rPDU2OutletMeteredStatusTable: only of models that meter each outlet.
      columns: {
        module: `${RPDU2}.9.4.3.1.2`,
        name: `${RPDU2}.9.4.3.1.3`,
        number: `${RPDU2}.9.4.3.1.4`,
        current: `${RPDU2}.9.4.3.1.6`,
        power: `${RPDU2}.9.4.3.1.7`,
        energy: `${RPDU2}.9.4.3.1.11`,
      },
      key: 'power',
      measures(row) {
        const outlet = outletOf(row.text('number') ?? row.index, row.text('name'), moduleOf(row));
        return [
          known(row, {
            column: 'power',
            metricId: metricName(['pdu', 'outlet', 'power'], 'watt'),
            unit: 'watt',
            description: 'Power of outlet {outlet}',
            periodMs: PDU_MS,
            ...outlet,
          }),
          known(row, {
            column: 'energy',
            metricId: metricName(['pdu', 'outlet', 'energy'], 'joule', { counter: true }),
            unit: 'joule',
            scale: TENTH_KWH,
            description: 'Energy of outlet {outlet} since its counter was last reset, in steps of 0.1 kWh',
            periodMs: SLOW_MS,
            ...outlet,
          }),
          known(row, {
            column: 'current',
            metricId: metricName(['pdu', 'outlet', 'current'], 'ampere'),
            unit: 'ampere',
            scale: 0.1,
            description: 'Current of outlet {outlet}',
            periodMs: SLOW_MS,
            ...outlet,
          }),
        ];
      },
    },
    {
      // rPDU2PhaseStatusTable
      columns: {
        module: `${RPDU2}.6.3.1.2`,
        number: `${RPDU2}.6.3.1.3`,
        current: `${RPDU2}.6.3.1.5`,
        voltage: `${RPDU2}.6.3.1.6`,
        power: `${RPDU2}.6.3.1.7`,
      },
      key: 'current',
      measures(row) {
        const labels = { ...moduleOf(row), phase: row.text('number') ?? row.index };
        return [
          known(row, {
            column: 'power',
            metricId: metricName(['pdu', 'phase', 'power'], 'watt'),
            unit: 'watt',
            scale: 10,
            description: 'Power of phase {phase}, in steps of 10 W',
            periodMs: PDU_MS,
            labels,
          }),
          known(row, {
            column: 'current',
            metricId: metricName(['pdu', 'phase', 'current'], 'ampere'),
            unit: 'ampere',
            scale: 0.1,
            description: 'Current of phase {phase}',
            periodMs: SLOW_MS,
            labels,
          }),
          known(row, {
            column: 'voltage',
            metricId: metricName(['pdu', 'phase', 'voltage'], 'volt'),
            unit: 'volt',
            description: 'Voltage of phase {phase}',
            periodMs: SLOW_MS,
            labels,
          }),
        ];
      },
    },
    {
      // rPDU2BankStatusTable
      columns: {
        module: `${RPDU2}.8.3.1.2`,
        number: `${RPDU2}.8.3.1.3`,
        current: `${RPDU2}.8.3.1.5`,
      },
      key: 'current',
      measures(row) {
        return [
          known(row, {
            column: 'current',
            metricId: metricName(['pdu', 'bank', 'current'], 'ampere'),
            unit: 'ampere',
            scale: 0.1,
            description: 'Current of bank {bank}',
            periodMs: SLOW_MS,
            labels: { ...moduleOf(row), bank: row.text('number') ?? row.index },
          }),
        ];
      },
    },
    {
      // rPDU2SensorTempHumidityStatusTable; commStatus 2 is commsOK.
      columns: {
        module: `${RPDU2}.10.2.2.1.2`,
        name: `${RPDU2}.10.2.2.1.3`,
        state: `${RPDU2}.10.2.2.1.6`,
        celsius: `${RPDU2}.10.2.2.1.8`,
        humidity: `${RPDU2}.10.2.2.1.10`,
      },
      key: 'celsius',
      measures(row, { all }) {
        if (row.number('state') !== 2 && !all) return [];
        const labels = { ...moduleOf(row), sensor: row.text('name') ?? row.index };
        return [
          row.number('celsius') === -1
            ? undefined
            : {
                column: 'celsius',
                metricId: metricName(['pdu', 'temp'], 'celsius'),
                unit: 'celsius',
                scale: 0.1,
                description: 'Temperature at sensor {sensor}',
                periodMs: SLOW_MS,
                labels,
              },
          known(row, {
            column: 'humidity',
            metricId: metricName(['pdu', 'humidity'], 'ratio'),
            unit: 'ratio',
            scale: 0.01,
            description: 'Relative humidity at sensor {sensor}',
            periodMs: SLOW_MS,
            labels,
          }),
        ];
      },
    },
  ],
};

export const apcRpdu: Profile = {
  name: 'apc-rpdu',
  isDevice: true,
  title: 'APC rack PDUs AP7xxx (PowerNet-MIB rPDU): whole PDU, current of phases and banks',
  objectIds: ['1.3.6.1.4.1.318.1.3.4.4'],
  unless: 'apc-rpdu2',
  tables: [
    {
      // rPDUIdentDevicePowerWatts
      columns: { power: `${RPDU}.1.16` },
      key: 'power',
      measures: (row) => [
        known(row, {
          column: 'power',
          metricId: metricName(['pdu', 'total', 'power'], 'watt'),
          unit: 'watt',
          description: 'Power of the whole PDU',
          periodMs: PDU_MS,
          labels: {},
        }),
      ],
    },
    {
      // rPDULoadStatusTable: phases, then banks; 0 stands for none.
      columns: {
        current: `${RPDU}.2.3.1.1.2`,
        phase: `${RPDU}.2.3.1.1.4`,
        bank: `${RPDU}.2.3.1.1.5`,
      },
      key: 'current',
      measures(row) {
        const bank = row.text('bank') ?? '0';
        const isBank = bank !== '0';
        return [
          known(row, {
            column: 'current',
            metricId: metricName(['pdu', isBank ? 'bank' : 'phase', 'current'], 'ampere'),
            unit: 'ampere',
            scale: 0.1,
            description: isBank ? 'Current of bank {bank}' : 'Current of phase {phase}',
            periodMs: PDU_MS,
            labels: isBank ? { bank } : { phase: row.text('phase') ?? row.index },
          }),
        ];
      },
    },
  ],
};
