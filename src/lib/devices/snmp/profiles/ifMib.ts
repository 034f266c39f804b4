/**
 * Interfaces (IF-MIB, RFC 2863): 64-bit counters of ifXTable where there are, else ifInOctets and ifOutOctets, which
 * wrap after 34 s at 1 Gbit/s. Rows are found by ifName: ifIndex changes when a switch restarts or a card is moved.
 */
import { metricName } from '../../naming.ts';
import { type Measure, type Profile, type Row, SLOW_MS } from './profile.ts';

const IF_ENTRY = '1.3.6.1.2.1.2.2.1';
const IF_X_ENTRY = '1.3.6.1.2.1.31.1.1.1';
/** ifOperStatus up(1); ifType softwareLoopback(24). */
const UP = 1;
const LOOPBACK = 24;

interface Counter {
  readonly columns: readonly string[];
  readonly words: readonly string[];
  readonly unit: string;
  readonly description: string;
  readonly periodMs: number;
}

/** In the words of Kwollect's default metrics, whose octets are `bytes` and all other units singular. */
const COUNTERS: readonly Counter[] = [
  {
    columns: ['hcInOctets', 'inOctets'],
    words: ['network', 'ifacein', 'bytes'],
    unit: 'byte',
    description: 'Bytes received on',
    periodMs: 1_000,
  },
  {
    columns: ['hcOutOctets', 'outOctets'],
    words: ['network', 'ifaceout', 'bytes'],
    unit: 'byte',
    description: 'Bytes sent on',
    periodMs: 1_000,
  },
  {
    columns: ['hcInPackets', 'inPackets'],
    words: ['network', 'ifacein', 'packet'],
    unit: 'packet',
    description: 'Unicast packets received on',
    periodMs: 5_000,
  },
  {
    columns: ['hcOutPackets', 'outPackets'],
    words: ['network', 'ifaceout', 'packet'],
    unit: 'packet',
    description: 'Unicast packets sent on',
    periodMs: 5_000,
  },
  {
    columns: ['inDiscards'],
    words: ['network', 'ifacein', 'packet', 'discard'],
    unit: 'packet',
    description: 'Packets received and dropped although nothing was wrong with them on',
    periodMs: SLOW_MS,
  },
  {
    columns: ['outDiscards'],
    words: ['network', 'ifaceout', 'packet', 'discard'],
    unit: 'packet',
    description: 'Packets dropped instead of sent although nothing was wrong with them on',
    periodMs: SLOW_MS,
  },
  {
    columns: ['inErrors'],
    words: ['network', 'ifacein', 'packet', 'error'],
    unit: 'packet',
    description: 'Packets that arrived broken on',
    periodMs: SLOW_MS,
  },
  {
    columns: ['outErrors'],
    words: ['network', 'ifaceout', 'packet', 'error'],
    unit: 'packet',
    description: 'Packets that could not be sent for errors on',
    periodMs: SLOW_MS,
  },
];

function measure(row: Row, counter: Counter): Measure | undefined {
  const column = counter.columns.find((name) => row.number(name) !== undefined);
  if (column === undefined) return undefined;
  const name = row.text('name')?.trim();
  const described = row.text('description')?.trim();
  const alias = row.text('alias')?.trim();
  const shown = name || described || row.index;
  return {
    column,
    metricId: metricName(counter.words, undefined, { counter: true }),
    unit: counter.unit,
    description: `${counter.description} {interface}`,
    labels: { interface: shown, ...(alias && alias !== shown && { interface_alias: alias }) },
    periodMs: counter.periodMs,
    rank: 4,
    stable: name
      ? { column: 'name', text: name }
      : described
        ? { column: 'description', text: described }
        : undefined,
  };
}

export const ifMib: Profile = {
  name: 'if-mib',
  isAside: true,
  title: 'network interfaces (IF-MIB): bytes, packets, discards, errors, by the names of the interfaces',
  tables: [
    {
      columns: {
        description: `${IF_ENTRY}.2`,
        type: `${IF_ENTRY}.3`,
        status: `${IF_ENTRY}.8`,
        inOctets: `${IF_ENTRY}.10`,
        inPackets: `${IF_ENTRY}.11`,
        inDiscards: `${IF_ENTRY}.13`,
        inErrors: `${IF_ENTRY}.14`,
        outOctets: `${IF_ENTRY}.16`,
        outPackets: `${IF_ENTRY}.17`,
        outDiscards: `${IF_ENTRY}.19`,
        outErrors: `${IF_ENTRY}.20`,
        name: `${IF_X_ENTRY}.1`,
        hcInOctets: `${IF_X_ENTRY}.6`,
        hcInPackets: `${IF_X_ENTRY}.7`,
        hcOutOctets: `${IF_X_ENTRY}.10`,
        hcOutPackets: `${IF_X_ENTRY}.11`,
        alias: `${IF_X_ENTRY}.18`,
      },
      key: 'status',
      measures(row, { all }) {
        if (!all && (row.number('status') !== UP || row.number('type') === LOOPBACK)) return [];
        return COUNTERS.map((counter) => measure(row, counter));
      },
    },
  ],
};
