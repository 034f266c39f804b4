/** What is collected from in each measurement, and the bar to be under. */
import { hasNodeExporter, startNodeExporter } from '../../test/support/nodeExporter.ts';
import { OUTLET_WATT, OUTLETS, startSnmpd } from '../../test/support/snmpd.ts';
import { entry, pduEntries } from '../support/entries.ts';
import { startExporters } from './exporters.ts';

export interface Devices {
  /** A file of metrics.d. */
  readonly yaml: string;
  /** How many values the devices offered, given the intervals of each device and what was read. */
  offered(intervals: ReadonlyMap<string, number>, read: number): number;
  stop(): Promise<void>;
}

export interface Mode {
  readonly title: string;
  /** Microseconds of CPU a stored value, collector and database together. */
  readonly barUs: number;
  start(): Promise<Devices>;
}

const PDUS = 200;
const SESSIONS = 1_000;
const EXPORTERS = 20;
const SAMPLES = 500;

export const MODES: Readonly<Record<string, Mode>> = {
  pdus: {
    title: `${PDUS} PDUs x ${OUTLETS} outlets and a node_exporter at 1 s`,
    barUs: 15,
    async start() {
      const agent = await startSnmpd({ addresses: PDUS, firstAddress: '127.26.10.1' });
      const exporter = hasNodeExporter ? await startNodeExporter() : undefined;
      const lines = agent.addresses.map((address, pdu) => pduEntries(`pdu-${pdu + 1}`, address, agent.port));
      if (exporter) {
        const url = `prometheus://127.0.0.1:${exporter.port}/`;
        lines.push(entry({ name: 'node_exporter', device_id: 'node-1', url }));
      } else {
        console.log('without a node_exporter: it is not installed');
      }
      return {
        yaml: lines.join(''),
        offered(intervals, read) {
          let offered = 0;
          for (const [device, count] of intervals) if (device !== 'node-1') offered += count * OUTLETS;
          // The page of an exporter has as many samples as it has: they count as offered when they were read.
          return exporter ? Math.max(offered, read) : offered;
        },
        async stop() {
          await Promise.all([agent.stop(), exporter?.stop()]);
        },
      };
    },
  },
  sessions: {
    title: `${SESSIONS} SNMP sessions x 1 OID at 1 s`,
    barUs: 80,
    async start() {
      const agents = await Promise.all(
        [11, 12, 13, 14, 15].map((net) => startSnmpd({ addresses: 200, firstAddress: `127.26.${net}.1` })),
      );
      const lines = agents.flatMap(({ addresses, port }) =>
        addresses.map((address) =>
          entry({
            name: 'pdu_outlet_power_watt',
            device_id: `pdu-${address}`,
            url: `snmp://public@${address}:${port}/${OUTLET_WATT}.1`,
          }),
        ),
      );
      return {
        yaml: lines.join(''),
        offered: (intervals) => sum(intervals),
        async stop() {
          await Promise.all(agents.map((agent) => agent.stop()));
        },
      };
    },
  },
  exporters: {
    title: `${EXPORTERS} exporters x ${SAMPLES} samples at 1 s`,
    barUs: 9,
    async start() {
      const { ports, stop } = await startExporters(EXPORTERS, SAMPLES);
      const lines = ports.map((port, index) =>
        entry({ name: 'exporter', device_id: `node-${index + 1}`, url: `prometheus://127.0.0.1:${port}/` }),
      );
      return {
        yaml: lines.join(''),
        offered: (intervals) => sum(intervals) * SAMPLES,
        stop,
      };
    },
  },
};

function sum(intervals: ReadonlyMap<string, number>): number {
  let total = 0;
  for (const count of intervals.values()) total += count;
  return total;
}
