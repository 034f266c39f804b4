/**
 * Dell iDRAC 7 and later (IDRAC-MIB, 674.10892.5.4): probes of the power, temperature and cooling groups, each a row
 * chassis.probe with reading, type and name. Readings are in W or tenths of A (by the type), tenths of a degree,
 * mV and rpm; a discrete probe has none.
 */
import { metricName, sensorMetricName } from '../../naming.ts';
import { BMC_MS, type Measure, type Profile, type Row, SLOW_MS } from './profile.ts';

const POWER_GROUP = '1.3.6.1.4.1.674.10892.5.4.600';
const THERMAL_GROUP = '1.3.6.1.4.1.674.10892.5.4.700';

/** xxxProbeStatus, xxxProbeReading, xxxProbeType, xxxProbeLocationName of a probe table. */
function probe(entry: string): Record<'status' | 'reading' | 'type' | 'name', string> {
  return { status: `${entry}.5`, reading: `${entry}.6`, type: `${entry}.7`, name: `${entry}.8` };
}

function measure(
  row: Row,
  unit: string,
  periodMs: number,
  fallback: string,
  scale?: number,
): Measure | undefined {
  if (row.number('reading') === undefined) return undefined;
  const name = row.text('name')?.trim();
  return {
    column: 'reading',
    metricId: sensorMetricName('bmc', name ?? '', unit),
    unit,
    ...(scale !== undefined && { scale }),
    description: name === undefined ? `${fallback} ${row.index}` : '{sensor}',
    periodMs,
    labels: { sensor: name ?? row.index },
  };
}

export const idrac: Profile = {
  name: 'dell-idrac',
  isDevice: true,
  title: 'Dell iDRAC 7 and later (IDRAC-MIB): power, energy, temperatures, fans, voltages',
  objectIds: ['1.3.6.1.4.1.674.10892.5'],
  tables: [
    {
      // amperageProbeTable. Types: 23 amperes of a supply, 24 watts of a supply, 25 amperes and 26 watts of the
      // system; without a type, the probe is of watts if it is no supply.
      columns: probe(`${POWER_GROUP}.30.1`),
      key: 'reading',
      measures(row) {
        const type = row.text('type');
        const isAmperes =
          type === undefined ? /current/i.test(row.text('name') ?? '') : type === '23' || type === '25';
        if (isAmperes) return [measure(row, 'ampere', SLOW_MS, 'Current probe', 0.1)];
        if (type !== undefined && type !== '24' && type !== '26') return [];
        return [measure(row, 'watt', BMC_MS, 'Power probe')];
      },
    },
    {
      // powerUsageTable: powerUsageCumulativeWattage, in Wh since powerUsageCumulativeWattageStartDateName
      columns: { energy: `${POWER_GROUP}.60.1.7` },
      key: 'energy',
      measures: (row) => [
        {
          column: 'energy',
          metricId: metricName(['bmc', 'node', 'energy'], 'joule', { counter: true }),
          unit: 'joule',
          scale: 3600,
          description: 'Energy of the node since its counter was last reset, in steps of 1 Wh',
          periodMs: SLOW_MS,
          labels: row.index === '1.1' ? {} : { unit: row.index },
        },
      ],
    },
    {
      columns: probe(`${THERMAL_GROUP}.20.1`),
      key: 'reading',
      // temperatureProbeType 16 is discrete.
      measures: (row) =>
        row.text('type') === '16' ? [] : [measure(row, 'celsius', BMC_MS, 'Temperature probe', 0.1)],
    },
    {
      columns: probe(`${THERMAL_GROUP}.12.1`),
      key: 'reading',
      measures: (row) => [measure(row, 'rpm', BMC_MS, 'Fan')],
    },
    {
      columns: probe(`${POWER_GROUP}.20.1`),
      key: 'reading',
      // voltageProbeType 16 is discrete: "good" or "bad".
      measures: (row) =>
        row.text('type') === '16' ? [] : [measure(row, 'volt', SLOW_MS, 'Voltage probe', 0.001)],
    },
  ],
};
