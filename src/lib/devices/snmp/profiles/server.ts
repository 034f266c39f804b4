/**
 * Servers with net-snmp's agent: UCD-SNMP-MIB (2021: load, memory, CPU) and LM-SENSORS-MIB (2021.13.16: temperatures
 * in thousandths of a degree, fans in rpm, voltages in mV).
 */
import { metricName, sensorMetricName } from '../../naming.ts';
import { BMC_MS, type Measure, type Profile, type Row, SLOW_MS, type Table } from './profile.ts';

const UCD = '1.3.6.1.4.1.2021';
const KIB = 1024;
/** ssCpuRaw... count in hundredths of a second. */
const TICK = 0.01;

function scalar(oid: string, measure: Omit<Measure, 'column' | 'labels' | 'periodMs'>): Table {
  return {
    columns: { value: oid },
    key: 'value',
    measures: (row) =>
      row.number('value') === undefined
        ? []
        : [{ ...measure, column: 'value', labels: {}, periodMs: SLOW_MS }],
  };
}

function memory(column: number, word: string, description: string): Table {
  const metricId = metricName(['server', 'memory', word], 'byte');
  return scalar(`${UCD}.4.${column}`, { metricId, unit: 'byte', scale: KIB, description });
}

function cpu(column: number, word: string, description: string): Table {
  const metricId = metricName(['server', 'cpu', word], 'second', { counter: true });
  return scalar(`${UCD}.11.${column}`, { metricId, unit: 'second', scale: TICK, description });
}

function sensors(entry: string, unit: string, scale: number, periodMs: number): Table {
  return {
    columns: { name: `${entry}.2`, value: `${entry}.3` },
    key: 'value',
    measures(row: Row) {
      const sensor = row.text('name')?.trim() || row.index;
      if (row.number('value') === undefined) return [];
      const metricId = sensorMetricName('server', sensor, unit);
      return [
        { column: 'value', metricId, unit, scale, description: '{sensor}', periodMs, labels: { sensor } },
      ];
    },
  };
}

export const server: Profile = {
  name: 'ucd-snmp',
  isAside: true,
  title: 'servers with net-snmp (UCD-SNMP-MIB, LM-SENSORS-MIB): sensors, CPU, memory, load',
  tables: [
    sensors(`${UCD}.13.16.2.1`, 'celsius', 0.001, BMC_MS),
    sensors(`${UCD}.13.16.3.1`, 'rpm', 1, BMC_MS),
    sensors(`${UCD}.13.16.4.1`, 'volt', 0.001, SLOW_MS),
    cpu(50, 'user', 'Time of all CPUs in user code'),
    cpu(52, 'system', 'Time of all CPUs in the kernel'),
    cpu(53, 'idle', 'Time of all CPUs doing nothing'),
    cpu(54, 'wait', 'Time of all CPUs waiting for input and output'),
    memory(5, 'total', 'Memory of the machine'),
    memory(6, 'free', 'Memory that nothing uses'),
    memory(15, 'cached', 'Memory that caches files'),
    {
      // laTable: laLoadInt is the load in hundredths; rows 1 to 3 are 1, 5 and 15 minutes.
      columns: { name: `${UCD}.10.1.2`, load: `${UCD}.10.1.5` },
      key: 'load',
      measures(row) {
        const minutes = { 1: '1', 2: '5', 3: '15' }[row.index];
        if (minutes === undefined || row.number('load') === undefined) return [];
        return [
          {
            column: 'load',
            metricId: metricName(['server', `load${minutes}`]),
            scale: 0.01,
            description: `Mean number of runnable processes over ${minutes} min`,
            labels: {},
            periodMs: SLOW_MS,
          },
        ];
      },
    },
  ],
};
