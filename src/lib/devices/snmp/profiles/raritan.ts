/**
 * Raritan (and Server Technology) PX2, PX3 and PXC PDUs: PDU2-MIB, enterprise 13742.6. A sensor is a row
 * pdu.outlet.type (or pdu.inlet.type) with an integer; another table tells its unit and how many of its digits
 * stand behind the decimal point (xxxSensorUnits, xxxSensorDecimalDigits). Where an agent hides that table, the
 * unit follows from the type as the MIB's SensorTypeEnumeration says.
 */
import { metricName, rankOfUnit } from '../../naming.ts';
import { indexPart, type Measure, outletOf, PDU_MS, type Profile, type Row, SLOW_MS } from './profile.ts';

const CONFIGURATION = '1.3.6.1.4.1.13742.6.3';
const MEASUREMENTS = '1.3.6.1.4.1.13742.6.5';

interface Kind {
  readonly word: string;
  readonly unit: string;
  readonly counter?: boolean;
}

/** SensorTypeEnumeration: those that are measured quantities. */
const KINDS: Readonly<Record<string, Kind>> = {
  1: { word: 'current', unit: 'ampere' },
  4: { word: 'voltage', unit: 'volt' },
  5: { word: 'power', unit: 'watt' },
  6: { word: 'apparent_power', unit: 'voltampere' },
  7: { word: 'power_factor', unit: 'ratio' },
  8: { word: 'energy', unit: 'joule', counter: true },
  10: { word: 'temp', unit: 'celsius' },
  11: { word: 'humidity', unit: 'ratio' },
  13: { word: 'air_pressure', unit: 'pascal' },
  23: { word: 'frequency', unit: 'hertz' },
};

/** SensorUnitsEnumeration: the base unit of each, and how many of it one is. */
const UNITS: Readonly<Record<string, readonly [unit: string, scale: number]>> = {
  1: ['volt', 1],
  2: ['ampere', 1],
  3: ['watt', 1],
  4: ['voltampere', 1],
  5: ['joule', 3600],
  7: ['celsius', 1],
  8: ['hertz', 1],
  9: ['ratio', 0.01],
  11: ['pascal', 1],
  14: ['fahrenheit', 1],
};

/** The unit where the agent does not tell: energy in Wh, humidity in percent. */
const SCALE_BY_TYPE: Readonly<Record<string, number>> = { 8: 3600, 11: 0.01 };

/** Types that are those of the whole PDU when an inlet has them: power and energy. */
const WHOLE = ['5', '6', '7', '8'];

/** Types that are read at the period of a PDU; the others change slowly or follow from these. */
const FAST = ['5'];

function sensor(
  row: Row,
  type: string,
  words: readonly string[],
  where: string,
  place: Pick<Measure, 'labels' | 'part'>,
): Measure | undefined {
  const kind = KINDS[type];
  // measurements...IsAvailable: 1 true, 2 false.
  if (kind === undefined || row.number('available') === 2 || row.number('value') === undefined)
    return undefined;
  const told = UNITS[row.text('unit') ?? ''];
  const unit = told?.[0] ?? kind.unit;
  const digits = row.number('digits') ?? 0;
  const base = told?.[1] ?? SCALE_BY_TYPE[type] ?? 1;
  return {
    column: 'value',
    metricId: metricName([...words, kind.word], unit, { counter: kind.counter ?? false }),
    unit,
    scale: Number((base / 10 ** digits).toPrecision(12)),
    description: `${QUANTITIES[kind.word] ?? kind.word} of ${where}`,
    periodMs: FAST.includes(type) ? PDU_MS : SLOW_MS,
    rank: rankOfUnit(unit),
    ...place,
  };
}

const QUANTITIES: Readonly<Record<string, string>> = {
  current: 'Current',
  voltage: 'Voltage',
  power: 'Active power',
  apparent_power: 'Apparent power',
  power_factor: 'Power factor',
  energy: 'Active energy',
  temp: 'Temperature',
  humidity: 'Relative humidity',
  air_pressure: 'Air pressure',
  frequency: 'Frequency',
};

/** A chain of PDUs is one agent: the others are 2, 3, ... */
function pduOf(index: string): Record<string, string> {
  const pdu = indexPart(index, 0);
  return pdu === '1' ? {} : { pdu };
}

export const raritanPdu2: Profile = {
  name: 'raritan-pdu2',
  isDevice: true,
  title: 'Raritan PX2, PX3 and PXC (PDU2-MIB): outlets, inlets, circuit breakers, external sensors',
  objectIds: ['1.3.6.1.4.1.13742.6'],
  tables: [
    {
      columns: {
        available: `${MEASUREMENTS}.2.3.1.2`,
        value: `${MEASUREMENTS}.2.3.1.4`,
        unit: `${CONFIGURATION}.3.4.1.6`,
        digits: `${CONFIGURATION}.3.4.1.7`,
      },
      key: 'value',
      measures(row) {
        const labels = { ...pduOf(row.index), inlet: indexPart(row.index, 1) };
        const type = indexPart(row.index, 2);
        const words = ['pdu', WHOLE.includes(type) ? 'total' : 'inlet'];
        return [sensor(row, type, words, 'inlet {inlet}', { labels })];
      },
    },
    {
      columns: {
        available: `${MEASUREMENTS}.4.3.1.2`,
        value: `${MEASUREMENTS}.4.3.1.4`,
        unit: `${CONFIGURATION}.5.4.1.6`,
        digits: `${CONFIGURATION}.5.4.1.7`,
        label: { oid: `${CONFIGURATION}.5.3.1.2`, drop: 1 },
        name: { oid: `${CONFIGURATION}.5.3.1.3`, drop: 1 },
      },
      key: 'value',
      measures(row) {
        const number = row.text('label') || indexPart(row.index, 1);
        const outlet = outletOf(number, row.text('name'), pduOf(row.index));
        return [sensor(row, indexPart(row.index, 2), ['pdu', 'outlet'], 'outlet {outlet}', outlet)];
      },
    },
    {
      columns: {
        available: `${MEASUREMENTS}.3.3.1.2`,
        value: `${MEASUREMENTS}.3.3.1.4`,
        unit: `${CONFIGURATION}.4.4.1.6`,
        digits: `${CONFIGURATION}.4.4.1.7`,
      },
      key: 'value',
      measures(row) {
        const labels = { ...pduOf(row.index), breaker: indexPart(row.index, 1) };
        return [
          sensor(row, indexPart(row.index, 2), ['pdu', 'breaker'], 'circuit breaker {breaker}', { labels }),
        ];
      },
    },
    {
      columns: {
        available: `${MEASUREMENTS}.5.3.1.2`,
        value: `${MEASUREMENTS}.5.3.1.4`,
        type: `${CONFIGURATION}.6.3.1.2`,
        name: `${CONFIGURATION}.6.3.1.4`,
        unit: `${CONFIGURATION}.6.3.1.16`,
        digits: `${CONFIGURATION}.6.3.1.17`,
      },
      key: 'value',
      measures(row) {
        const name = row.text('name')?.trim() || indexPart(row.index, 1);
        const labels = { ...pduOf(row.index), sensor: name };
        return [sensor(row, row.text('type') ?? '', ['pdu'], 'the air at {sensor}', { labels })];
      },
    },
  ],
};
