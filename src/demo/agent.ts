/**
 * The demo's SNMP agent: real SNMP over UDP on loopback, simulating a small PDU that knows this machine's own
 * load, memory and temperatures. A process of its own, as a PDU is a box of its own.
 *
 *   node dist/demo/agent.js PORT NAME     serves until SIGTERM; prints `ready` when it answers
 *
 * Power of the outlet: the processor's own energy counters where this user may read them; else an estimate from
 * how busy the processors are, and the outlet's name says so.
 */
import snmp from 'net-snmp';
import {
  type EnergyCounter,
  meanWatts,
  readBusySeconds,
  readEnergyCounters,
  readLoads,
  readMemory,
  readTemperatures,
} from './sensors.ts';

const REFRESH_MS = 500;
/** A server of no special kind; shown as an estimate only. */
const IDLE_WATTS = 40;
const WATTS_PER_BUSY_CORE = 12;

/** What is used of net-snmp's agent, which its types leave untyped. */
interface Mib {
  setScalarValue(name: string, value: number | string): void;
  addTableRow(table: string, row: (number | string)[]): void;
  setTableSingleCell(table: string, column: number, index: number[], value: number | string): void;
}
interface Agent {
  getMib(): Mib;
  getAuthorizer(): { addCommunity(community: string): void };
  registerProvider(provider: object): void;
  close(callback: () => void): void;
}

const { Integer, OctetString, Gauge, TimeTicks } = snmp.ObjectType;
const readOnly = snmp.MaxAccess['read-only'];

function scalar(name: string, oid: string, scalarType: number): object {
  return { name, type: snmp.MibProviderType.Scalar, oid, scalarType, maxAccess: readOnly };
}

function table(name: string, oid: string, columns: Record<string, [number, number]>): object {
  const tableColumns = Object.entries(columns).map(([column, [number, type]]) => ({
    number,
    name: column,
    type,
    maxAccess: readOnly,
  }));
  const index = tableColumns[0]?.name;
  return {
    name,
    type: snmp.MibProviderType.Table,
    oid,
    maxAccess: readOnly,
    tableColumns,
    tableIndex: [{ columnName: index }],
  };
}

/** OIDs of SNMPv2-MIB, UCD-SNMP-MIB, LM-SENSORS-MIB, and of APC's PowerNet-MIB for the outlet. */
const PROVIDERS = [
  scalar('sysDescr', '1.3.6.1.2.1.1.1', OctetString),
  scalar('sysUpTime', '1.3.6.1.2.1.1.3', TimeTicks),
  scalar('sysName', '1.3.6.1.2.1.1.5', OctetString),
  scalar('memTotalReal', '1.3.6.1.4.1.2021.4.5', Integer),
  scalar('memAvailReal', '1.3.6.1.4.1.2021.4.6', Integer),
  table('laEntry', '1.3.6.1.4.1.2021.10.1', {
    laIndex: [1, Integer],
    laNames: [2, OctetString],
    laLoadInt: [5, Integer],
  }),
  table('lmTempSensorsEntry', '1.3.6.1.4.1.2021.13.16.2.1', {
    lmTempSensorsIndex: [1, Integer],
    lmTempSensorsDevice: [2, OctetString],
    lmTempSensorsValue: [3, Gauge],
  }),
  table('rPDU2OutletMeteredStatusEntry', '1.3.6.1.4.1.318.1.1.26.9.4.3.1', {
    outletIndex: [1, Integer],
    outletName: [3, OctetString],
    outletPower: [7, Integer],
  }),
];

/** Power since the last call, in watts. */
class OutletPower {
  private counters: EnergyCounter[] = readEnergyCounters();
  private busySeconds = readBusySeconds();
  private atMs = performance.now();

  get measured(): boolean {
    return this.counters.length > 0;
  }

  next(): number {
    const atMs = performance.now();
    const seconds = (atMs - this.atMs) / 1000;
    const before = this.counters;
    const busyBefore = this.busySeconds;
    this.atMs = atMs;
    this.busySeconds = readBusySeconds();
    if (!this.measured) return IDLE_WATTS + (WATTS_PER_BUSY_CORE * (this.busySeconds - busyBefore)) / seconds;
    this.counters = readEnergyCounters();
    return this.counters.reduce((sum, after, i) => {
      const counter = before[i];
      return counter ? sum + meanWatts(counter, after, seconds) : sum;
    }, 0);
  }
}

function serve(port: number, name: string): void {
  const agent: Agent = snmp.createAgent(
    { port, address: '127.0.0.1', accessControlModelType: snmp.AccessControlModelType.None },
    (error: Error | null) => {
      // A datagram that is no SNMP: not the agent's trouble. A port that is taken: the end.
      if ((error as NodeJS.ErrnoException | null)?.code === 'EADDRINUSE') {
        process.stderr.write(`port ${port} is taken\n`);
        process.exit(1);
      }
    },
  );
  agent.getAuthorizer().addCommunity('public');
  for (const provider of PROVIDERS) agent.registerProvider(provider);
  const mib = agent.getMib();
  const power = new OutletPower();
  const temperatures = readTemperatures();
  const startedAtMs = performance.now();

  mib.setScalarValue('sysDescr', 'a PDU simulated by the demo of kw');
  mib.setScalarValue('sysName', 'demo-pdu');
  for (const [i, label] of ['Load-1', 'Load-5', 'Load-15'].entries())
    mib.addTableRow('laEntry', [i + 1, label, 0]);
  for (const [i, { name: sensor, milliCelsius }] of temperatures.entries()) {
    mib.addTableRow('lmTempSensorsEntry', [i + 1, sensor, Math.max(0, milliCelsius)]);
  }
  mib.addTableRow('rPDU2OutletMeteredStatusEntry', [1, name, IDLE_WATTS]);

  const refresh = (): void => {
    const { totalKb, availableKb } = readMemory();
    mib.setScalarValue('sysUpTime', Math.round((performance.now() - startedAtMs) / 10));
    mib.setScalarValue('memTotalReal', totalKb);
    mib.setScalarValue('memAvailReal', availableKb);
    for (const [i, load] of readLoads().entries()) mib.setTableSingleCell('laEntry', 5, [i + 1], load);
    for (const [i, { milliCelsius }] of readTemperatures().slice(0, temperatures.length).entries()) {
      mib.setTableSingleCell('lmTempSensorsEntry', 3, [i + 1], Math.max(0, milliCelsius));
    }
    mib.setTableSingleCell('rPDU2OutletMeteredStatusEntry', 7, [1], Math.round(power.next()));
  };
  refresh();
  const timer = setInterval(refresh, REFRESH_MS);
  const stop = (): void => {
    clearInterval(timer);
    agent.close(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.stdout.write(
    `ready ${JSON.stringify({ measuredPower: power.measured, temperatures: temperatures.length })}\n`,
  );
}

serve(Number(process.argv[2]), process.argv[3] ?? 'outlet-1');
