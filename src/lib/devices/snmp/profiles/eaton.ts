/**
 * Eaton ePDUs (EATON-EPDU-MIB, 534.6.6.7, revision of 2023-03-31). Indexes begin with the strapping index: 0 for a
 * PDU alone, more for those in a chain. Units of the MIB: mV, mA, W, VA, Wh, tenths of Hz, of a degree and of a
 * percent; a negative value is "not available".
 */
import { metricName } from '../../naming.ts';
import {
  indexPart,
  isKnown,
  type Measure,
  outletOf,
  PDU_MS,
  type Profile,
  type Row,
  SLOW_MS,
} from './profile.ts';

const EPDU = '1.3.6.1.4.1.534.6.6.7';
const WATT_HOUR = 3600;

function unitOf(row: Row): Record<string, string> {
  const strap = indexPart(row.index, 0);
  return strap === '0' ? {} : { pdu: strap };
}

type Kind = Pick<Measure, 'unit' | 'scale' | 'periodMs'> & { readonly word: string; readonly name: string };

const POWER: Kind = { word: 'power', name: 'Power', unit: 'watt', periodMs: PDU_MS };
const ENERGY: Kind = { word: 'energy', name: 'Energy', unit: 'joule', scale: WATT_HOUR, periodMs: SLOW_MS };
const CURRENT: Kind = { word: 'current', name: 'Current', unit: 'ampere', scale: 0.001, periodMs: SLOW_MS };
const VOLTAGE: Kind = { word: 'voltage', name: 'Voltage', unit: 'volt', scale: 0.001, periodMs: SLOW_MS };

function measure(
  row: Row,
  column: string,
  part: string,
  where: string,
  { word, name, ...kind }: Kind,
  place: Pick<Measure, 'labels' | 'part'>,
): Measure | undefined {
  if (!isKnown(row, column)) return undefined;
  return {
    column,
    metricId: metricName(['pdu', part, word], kind.unit, { counter: word === 'energy' }),
    description: `${name} of ${where}`,
    ...kind,
    ...place,
  };
}

function outlet(row: Row): Pick<Measure, 'labels' | 'part'> {
  const number = row.text('id')?.trim() || indexPart(row.index, 1);
  return outletOf(number, row.text('name'), unitOf(row));
}

function group(row: Row): Pick<Measure, 'labels'> {
  const name = row.text('name')?.trim();
  const number = row.text('id')?.trim() || indexPart(row.index, 1);
  return { labels: { ...unitOf(row), group: number, ...(name && name !== number && { group_name: name }) } };
}

const PHASES: Readonly<Record<string, string>> = { 1: '1', 2: '2', 3: '3' };

export const eatonEpdu: Profile = {
  name: 'eaton-epdu',
  isDevice: true,
  title: 'Eaton ePDU G3 (EATON-EPDU-MIB): outlets, groups, inputs, probes',
  objectIds: ['1.3.6.1.4.1.534.6.6.7'],
  tables: [
    {
      // inputTotalPowerTable: the input as a whole, index strap.input
      columns: { power: `${EPDU}.3.5.1.4`, energy: `${EPDU}.3.5.1.5` },
      key: 'power',
      measures(row) {
        const labels = { ...unitOf(row), input: indexPart(row.index, 1) };
        return [
          measure(row, 'power', 'total', 'input {input}, all phases', POWER, { labels }),
          measure(row, 'energy', 'total', 'input {input}, all phases', ENERGY, { labels }),
        ];
      },
    },
    {
      // outletPowerTable, with outletID and outletName of outletTable
      columns: {
        id: `${EPDU}.6.1.1.2`,
        name: `${EPDU}.6.1.1.3`,
        power: `${EPDU}.6.5.1.3`,
        energy: `${EPDU}.6.5.1.4`,
        current: `${EPDU}.6.4.1.3`,
      },
      key: 'power',
      measures: (row) => [
        measure(row, 'power', 'outlet', 'outlet {outlet}', POWER, outlet(row)),
        // outletWh is 0, not -1, of an outlet that is not metered.
        isKnown(row, 'power')
          ? measure(row, 'energy', 'outlet', 'outlet {outlet}', ENERGY, outlet(row))
          : undefined,
        measure(row, 'current', 'outlet', 'outlet {outlet}', CURRENT, outlet(row)),
      ],
    },
    {
      // inputPowerTable: index strap.input.line; inputPowerMeasType 1 to 3 are the phases, 4 the total
      columns: { type: `${EPDU}.3.4.1.2`, power: `${EPDU}.3.4.1.4`, energy: `${EPDU}.3.4.1.5` },
      key: 'power',
      measures(row) {
        const phase = PHASES[row.text('type') ?? ''];
        if (phase === undefined) return [];
        const labels = { ...unitOf(row), input: indexPart(row.index, 1), phase };
        return [
          measure(row, 'power', 'phase', 'phase {phase} of input {input}', POWER, { labels }),
          measure(row, 'energy', 'phase', 'phase {phase} of input {input}', ENERGY, { labels }),
        ];
      },
    },
    {
      // inputVoltageTable
      columns: { voltage: `${EPDU}.3.2.1.3` },
      key: 'voltage',
      measures(row) {
        const labels = { ...unitOf(row), input: indexPart(row.index, 1), line: indexPart(row.index, 2) };
        return [measure(row, 'voltage', 'input', 'line {line} of input {input}', VOLTAGE, { labels })];
      },
    },
    {
      // inputCurrentTable
      columns: { current: `${EPDU}.3.3.1.4` },
      key: 'current',
      measures(row) {
        const labels = { ...unitOf(row), input: indexPart(row.index, 1), line: indexPart(row.index, 2) };
        return [measure(row, 'current', 'input', 'line {line} of input {input}', CURRENT, { labels })];
      },
    },
    {
      // groupPowerTable: breakers and sections
      columns: {
        id: `${EPDU}.5.1.1.2`,
        name: `${EPDU}.5.1.1.3`,
        power: `${EPDU}.5.5.1.3`,
        current: `${EPDU}.5.4.1.3`,
      },
      key: 'power',
      measures: (row) => [
        measure(row, 'power', 'group', 'group {group}', POWER, group(row)),
        measure(row, 'current', 'group', 'group {group}', CURRENT, group(row)),
      ],
    },
    {
      // temperatureTable; temperatureScale of the unit says Celsius (0) or Fahrenheit (1), temperatureProbeStatus
      // whether the probe is there (1). Below zero is a temperature here, not "not available".
      columns: {
        name: `${EPDU}.7.1.1.2`,
        state: `${EPDU}.7.1.1.3`,
        temperature: `${EPDU}.7.1.1.4`,
        scale: { oid: `${EPDU}.1.2.1.9`, drop: 1 },
      },
      key: 'temperature',
      measures(row, { all }) {
        if (row.number('state') !== 1 && !all) return [];
        const unit = row.number('scale') === 1 ? 'fahrenheit' : 'celsius';
        return [
          {
            column: 'temperature',
            metricId: metricName(['pdu', 'temp'], unit),
            unit,
            scale: 0.1,
            description: 'Temperature at probe {sensor}',
            periodMs: SLOW_MS,
            labels: { ...unitOf(row), sensor: row.text('name')?.trim() || indexPart(row.index, 1) },
          },
        ];
      },
    },
    {
      columns: { name: `${EPDU}.7.2.1.2`, state: `${EPDU}.7.2.1.3`, humidity: `${EPDU}.7.2.1.4` },
      key: 'humidity',
      measures(row, { all }) {
        if ((row.number('state') !== 1 && !all) || !isKnown(row, 'humidity')) return [];
        return [
          {
            column: 'humidity',
            metricId: metricName(['pdu', 'humidity'], 'ratio'),
            unit: 'ratio',
            scale: 0.001,
            description: 'Relative humidity at probe {sensor}',
            periodMs: SLOW_MS,
            labels: { ...unitOf(row), sensor: row.text('name')?.trim() || indexPart(row.index, 1) },
          },
        ];
      },
    },
  ],
};
