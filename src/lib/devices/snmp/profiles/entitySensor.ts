/**
 * Sensors of switches, routers and servers: ENTITY-SENSOR-MIB (RFC 3433), named by ENTITY-MIB (RFC 6933), and Cisco's
 * table of the same form (CISCO-ENTITY-SENSOR-MIB). The value is entPhySensorValue x 10^scale / 10^precision in
 * the unit of entPhySensorType.
 */
import { metricName, rankOfUnit, sensorMetricName } from '../../naming.ts';
import { BMC_MS, type Measure, type Profile, type Row, SLOW_MS, type Table } from './profile.ts';

/** EntitySensorDataType: base unit and its factor. 1 other, 2 unknown, 11 cmm and 12 truthvalue are left out. */
const UNITS: Readonly<Record<string, readonly [unit: string, scale: number]>> = {
  3: ['volt', 1],
  4: ['volt', 1],
  5: ['ampere', 1],
  6: ['watt', 1],
  7: ['hertz', 1],
  8: ['celsius', 1],
  9: ['ratio', 0.01],
  10: ['rpm', 1],
};
/** EntitySensorDataScale: 9 is units, and each step a factor of a thousand, 1 (yocto) to 17 (yotta). */
const SCALE_OF_UNITS = 9;
/** EntitySensorStatus. */
const STATUS_OK = 1;

const NAME = '1.3.6.1.2.1.47.1.1.1.1.7';
const DESCRIPTION = '1.3.6.1.2.1.47.1.1.1.1.2';

function table(entry: string): Table {
  return {
    columns: {
      type: `${entry}.1`,
      scale: `${entry}.2`,
      precision: `${entry}.3`,
      value: `${entry}.4`,
      status: `${entry}.5`,
      name: NAME,
      description: DESCRIPTION,
    },
    key: 'type',
    measures: (row, { all }) => [measure(row, all)],
  };
}

function measure(row: Row, all: boolean): Measure | undefined {
  const known = UNITS[row.text('type') ?? ''];
  const status = row.number('status') ?? STATUS_OK;
  if (known === undefined || row.number('value') === undefined || (status !== STATUS_OK && !all))
    return undefined;
  const [unit, factor] = known;
  const exponent =
    3 * ((row.number('scale') ?? SCALE_OF_UNITS) - SCALE_OF_UNITS) - (row.number('precision') ?? 0);
  if (Math.abs(exponent) > 24) return undefined;
  const name = row.text('name')?.trim();
  const description = row.text('description')?.trim();
  const sensor = name || description || row.index;
  // Many agents name all sensors of a kind alike; the description then tells more.
  const words = `${sensor} ${description ?? ''}`;
  const scale = Number((factor * Number(`1e${exponent}`)).toPrecision(12));
  const isSlow = unit === 'volt' || unit === 'ampere' || unit === 'hertz';
  return {
    column: 'value',
    metricId:
      unit === 'hertz' ? metricName(['sensor', 'frequency'], unit) : sensorMetricName('sensor', words, unit),
    unit,
    scale,
    description: description || '{sensor}',
    periodMs: isSlow ? SLOW_MS : BMC_MS,
    rank: rankOfUnit(unit),
    labels: { sensor },
    // entPhysicalIndex may change when the agent restarts (RFC 6933 section 3.1); the name does not.
    stable: name ? { column: 'name', text: name } : undefined,
  };
}

export const entitySensor: Profile = {
  name: 'entity-sensor',
  title: 'sensors of any vendor (ENTITY-SENSOR-MIB), by their names in ENTITY-MIB',
  tables: [table('1.3.6.1.2.1.99.1.1.1')],
};

export const ciscoEntitySensor: Profile = {
  name: 'cisco-entity-sensor',
  title: 'sensors of Cisco devices (CISCO-ENTITY-SENSOR-MIB)',
  objectIds: ['1.3.6.1.4.1.9.'],
  unless: 'entity-sensor',
  tables: [table('1.3.6.1.4.1.9.9.91.1.1.1.1')],
};
