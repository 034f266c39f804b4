/**
 * What devices of each family answer, for snmpsim: written from their MIBs, with the corners that matter to
 * `kw device discover` (models that do not meter, -1 for "no value", names that people gave, empty tables).
 */
import type { SimValue } from './snmpsim.ts';

function system(description: string, objectId: string, name: string): SimValue[] {
  return [
    ['1.3.6.1.2.1.1.1.0', 'text', description],
    ['1.3.6.1.2.1.1.2.0', 'oid', objectId],
    ['1.3.6.1.2.1.1.3.0', 'ticks', 123456],
    ['1.3.6.1.2.1.1.5.0', 'text', name],
  ];
}

/** Rows of a table: `entry.column.index`, for each index the values of its columns. */
function rows(
  entry: string,
  columns: readonly (readonly [column: number, type: SimValue[1]])[],
  cells: Readonly<Record<string, readonly (string | number | undefined)[]>>,
): SimValue[] {
  return Object.entries(cells).flatMap(([index, values]) =>
    columns.flatMap(([column, type], position): SimValue[] => {
      const value = values[position];
      return value === undefined ? [] : [[`${entry}.${column}.${index}`, type, value]];
    }),
  );
}

const RPDU2 = '1.3.6.1.4.1.318.1.1.26';

/** AP8659: 3 metered outlets, one of them named after a node, one phase, two banks, one sensor, a network port. */
export const apc: SimValue[] = [
  ...system('APC Web/SNMP Management Card (MB:v4.1.0 PF:v6.9.6 AP8659)', '1.3.6.1.4.1.318.1.3.4.6', 'pdu-1'),
  ...rows(
    `${RPDU2}.9.4.3.1`,
    [
      [1, 'integer'],
      [2, 'integer'],
      [3, 'text'],
      [4, 'integer'],
      [5, 'integer'],
      [6, 'integer'],
      [7, 'integer'],
      [11, 'integer'],
    ],
    {
      1: [1, 1, 'Outlet 1', 1, 2, 7, 151, 10234],
      2: [2, 1, 'node-7', 2, 2, 12, 262, 20001],
      3: [3, 1, 'Outlet 3', 3, 2, 0, 0, 0],
    },
  ),
  ...rows(
    `${RPDU2}.4.3.1`,
    [
      [1, 'integer'],
      [2, 'integer'],
      [3, 'text'],
      [5, 'integer'],
      [9, 'integer'],
      [16, 'integer'],
      [17, 'integer'],
    ],
    {
      1: [1, 1, 'RackPDU', 41, 30235, 43, 95],
    },
  ),
  ...rows(
    `${RPDU2}.6.3.1`,
    [
      [1, 'integer'],
      [2, 'integer'],
      [3, 'integer'],
      [5, 'integer'],
      [6, 'integer'],
      [7, 'integer'],
    ],
    {
      1: [1, 1, 1, 19, 230, 41],
    },
  ),
  ...rows(
    `${RPDU2}.8.3.1`,
    [
      [1, 'integer'],
      [2, 'integer'],
      [3, 'integer'],
      [5, 'integer'],
    ],
    {
      1: [1, 1, 1, 12],
      2: [2, 1, 2, 7],
    },
  ),
  ...rows(
    `${RPDU2}.10.2.2.1`,
    [
      [1, 'integer'],
      [2, 'integer'],
      [3, 'text'],
      [6, 'integer'],
      [8, 'integer'],
      [10, 'integer'],
    ],
    {
      1: [1, 1, 'rack front', 2, 235, 41],
      2: [2, 1, 'not there', 1, -1, -1],
    },
  ),
  ...interfaces({ 1: ['eth0', '', 6, 1] }),
];

/** AP8841 and the like: no outlet is metered, phases do not tell their power; the old table answers as well. */
export const apcUnmetered: SimValue[] = [
  ...system('APC Web/SNMP Management Card (AP8841)', '1.3.6.1.4.1.318.1.3.4.5', 'pdu-2'),
  ...rows(
    `${RPDU2}.4.3.1`,
    [
      [1, 'integer'],
      [2, 'integer'],
      [5, 'integer'],
      [9, 'integer'],
      [16, 'integer'],
      [17, 'integer'],
    ],
    {
      1: [1, 1, 123, -1, -1, -1],
    },
  ),
  ...rows(
    `${RPDU2}.6.3.1`,
    [
      [2, 'integer'],
      [3, 'integer'],
      [5, 'integer'],
      [6, 'integer'],
      [7, 'integer'],
    ],
    {
      1: [1, 1, 53, -1, -1],
    },
  ),
  ['1.3.6.1.4.1.318.1.1.12.1.16.0', 'integer', 1230],
];

/** AP7921: before rPDU2. */
export const apcOld: SimValue[] = [
  ...system('APC Web/SNMP Management Card (AP7921)', '1.3.6.1.4.1.318.1.3.4.4', 'pdu-3'),
  ['1.3.6.1.4.1.318.1.1.12.1.16.0', 'integer', 874],
  ...rows(
    '1.3.6.1.4.1.318.1.1.12.2.3.1.1',
    [
      [1, 'integer'],
      [2, 'gauge'],
      [3, 'integer'],
      [4, 'integer'],
      [5, 'integer'],
    ],
    {
      1: [1, 38, 1, 1, 0],
      2: [2, 21, 1, 1, 1],
    },
  ),
];

/** PX3 with one PDU: sensors pdu.outlet.type, their units and digits beside them. */
export const raritan: SimValue[] = [
  ...system('Raritan PX3-5190R', '1.3.6.1.4.1.13742.6', 'pdu-4'),
  ...rows(
    '1.3.6.1.4.1.13742.6.3.5.3.1',
    [
      [2, 'text'],
      [3, 'text'],
    ],
    {
      '1.1': ['1', 'node-1'],
      '1.2': ['2', 'Outlet 2'],
    },
  ),
  // 1 current (A, 3 digits), 4 voltage, 5 active power, 7 power factor (no unit, 2 digits), 8 energy (Wh), 14 on/off
  ...rows(
    '1.3.6.1.4.1.13742.6.5.4.3.1',
    [
      [2, 'integer'],
      [3, 'integer'],
      [4, 'gauge'],
    ],
    {
      '1.1.1': [1, 4, 702],
      '1.1.4': [1, 4, 231],
      '1.1.5': [1, 4, 161],
      '1.1.7': [1, 4, 98],
      '1.1.8': [1, 4, 99999],
      '1.1.14': [1, 7, 1],
      '1.2.5': [1, 4, 162],
      '1.2.8': [2, -1, 0],
    },
  ),
  ...rows(
    '1.3.6.1.4.1.13742.6.3.5.4.1',
    [
      [6, 'integer'],
      [7, 'gauge'],
    ],
    {
      '1.1.1': [2, 3],
      '1.1.4': [1, 0],
      '1.1.5': [3, 0],
      '1.1.7': [-1, 2],
      '1.1.8': [5, 0],
      '1.1.14': [-1, 0],
      '1.2.5': [3, 0],
      '1.2.8': [5, 0],
    },
  ),
  ...rows(
    '1.3.6.1.4.1.13742.6.5.2.3.1',
    [
      [2, 'integer'],
      [4, 'gauge'],
    ],
    { '1.1.5': [1, 3234], '1.1.23': [1, 499] },
  ),
  ...rows(
    '1.3.6.1.4.1.13742.6.3.3.4.1',
    [
      [6, 'integer'],
      [7, 'gauge'],
    ],
    { '1.1.5': [3, 1], '1.1.23': [8, 1] },
  ),
  ...rows(
    '1.3.6.1.4.1.13742.6.5.5.3.1',
    [
      [2, 'integer'],
      [4, 'integer'],
    ],
    { '1.1': [1, 235], '1.2': [1, 41] },
  ),
  ...rows(
    '1.3.6.1.4.1.13742.6.3.6.3.1',
    [
      [2, 'integer'],
      [4, 'text'],
      [16, 'integer'],
      [17, 'gauge'],
    ],
    {
      '1.1': [10, 'Temperature 1', 7, 1],
      '1.2': [11, 'Humidity 1', 9, 0],
    },
  ),
];

/** The same sensors from an agent that hides the table of units: they follow from the types. */
export const raritanBare: SimValue[] = [
  ...system('Raritan PX2', '1.3.6.1.4.1.13742.6', 'pdu-5'),
  ...rows('1.3.6.1.4.1.13742.6.5.4.3.1', [[4, 'gauge']], { '1.7.5': [160], '1.7.8': [1000] }),
];

const EPDU = '1.3.6.1.4.1.534.6.6.7';

export const eaton: SimValue[] = [
  ...system('ePDU MANAGED 30U-D IN: 516P6 32A 1P', '1.3.6.1.4.1.534.6.6.7', 'pdu-6'),
  [`${EPDU}.1.2.1.9.0`, 'integer', 0],
  ...rows(
    `${EPDU}.6.1.1`,
    [
      [2, 'text'],
      [3, 'text'],
    ],
    { '0.1': ['A1', 'node-3'], '0.2': ['A2', 'Outlet A2'] },
  ),
  ...rows(
    `${EPDU}.6.5.1`,
    [
      [2, 'integer'],
      [3, 'integer'],
      [4, 'gauge'],
    ],
    { '0.1': [170, 166, 4321], '0.2': [-1, -1, 0] },
  ),
  ...rows(
    `${EPDU}.6.4.1`,
    [
      [2, 'integer'],
      [3, 'integer'],
    ],
    { '0.1': [10000, 721], '0.2': [10000, -1] },
  ),
  ...rows(
    `${EPDU}.3.5.1`,
    [
      [3, 'integer'],
      [4, 'integer'],
      [5, 'gauge'],
    ],
    { '0.1': [345, 338, 987654] },
  ),
  ...rows(
    `${EPDU}.3.4.1`,
    [
      [2, 'integer'],
      [3, 'integer'],
      [4, 'integer'],
      [5, 'gauge'],
    ],
    {
      '0.1.1': [1, 345, 338, 987654],
      '0.1.2': [4, 345, 338, 987654],
    },
  ),
  ...rows(
    `${EPDU}.3.2.1`,
    [
      [2, 'integer'],
      [3, 'integer'],
    ],
    { '0.1.1': [1, 231400] },
  ),
  ...rows(
    `${EPDU}.3.3.1`,
    [
      [2, 'integer'],
      [4, 'integer'],
    ],
    { '0.1.1': [1, 1490] },
  ),
  ...rows(
    `${EPDU}.5.1.1`,
    [
      [2, 'text'],
      [3, 'text'],
    ],
    { '0.1': ['A', 'Section A'] },
  ),
  ...rows(
    `${EPDU}.5.5.1`,
    [
      [2, 'integer'],
      [3, 'integer'],
    ],
    { '0.1': [345, 338] },
  ),
  ...rows(
    `${EPDU}.5.4.1`,
    [
      [2, 'integer'],
      [3, 'integer'],
    ],
    { '0.1': [16000, 1490] },
  ),
  ...rows(
    `${EPDU}.7.1.1`,
    [
      [2, 'text'],
      [3, 'integer'],
      [4, 'integer'],
    ],
    {
      '0.1': ['cold aisle', 1, -12],
      '0.2': ['Temperature 2', 0, 0],
    },
  ),
  ...rows(
    `${EPDU}.7.2.1`,
    [
      [2, 'text'],
      [3, 'integer'],
      [4, 'integer'],
    ],
    { '0.1': ['cold aisle', 1, 413] },
  ),
];

const DRAC = '1.3.6.1.4.1.674.10892.5.4';
const PROBE: readonly (readonly [number, SimValue[1]])[] = [
  [5, 'integer'],
  [6, 'integer'],
  [7, 'integer'],
  [8, 'text'],
];

export const idrac: SimValue[] = [
  ...system('iDRAC9', '1.3.6.1.4.1.674.10892.5', 'node-1-bmc'),
  ...rows(`${DRAC}.600.30.1`, PROBE, {
    '1.1': [3, 6, 23, 'PS1 Current 1'],
    '1.2': [3, 5, 23, 'PS2 Current 2'],
    '1.3': [3, 238, 26, 'System Board Pwr Consumption'],
  }),
  [`${DRAC}.600.60.1.7.1.1`, 'integer', 7654321],
  ...rows(`${DRAC}.700.20.1`, PROBE, {
    '1.1': [3, 410, 3, 'CPU1 Temp'],
    '1.2': [3, 430, 3, 'CPU2 Temp'],
    '1.3': [3, 235, 3, 'System Board Inlet Temp'],
    '1.4': [3, 330, 3, 'System Board Exhaust Temp'],
  }),
  ...rows(`${DRAC}.700.12.1`, PROBE, {
    '1.1': [3, 5400, 3, 'System Board Fan1A'],
    '1.2': [3, 5460, 3, 'System Board Fan1B'],
  }),
  ...rows(`${DRAC}.600.20.1`, PROBE, {
    '1.1': [3, undefined, 16, 'CPU1 VCORE PG'],
    '1.2': [3, 230000, 2, 'PS1 Voltage 1'],
  }),
];

/** ifTable and ifXTable: name, alias, ifType, ifOperStatus by index. */
function interfaces(cells: Readonly<Record<string, readonly [string, string, number, number]>>): SimValue[] {
  return Object.entries(cells).flatMap(([index, [name, alias, type, status]]): SimValue[] => [
    [`1.3.6.1.2.1.2.2.1.2.${index}`, 'text', name],
    [`1.3.6.1.2.1.2.2.1.3.${index}`, 'integer', type],
    [`1.3.6.1.2.1.2.2.1.8.${index}`, 'integer', status],
    [`1.3.6.1.2.1.2.2.1.13.${index}`, 'counter', 5],
    [`1.3.6.1.2.1.2.2.1.14.${index}`, 'counter', 6],
    [`1.3.6.1.2.1.2.2.1.19.${index}`, 'counter', 7],
    [`1.3.6.1.2.1.2.2.1.20.${index}`, 'counter', 8],
    [`1.3.6.1.2.1.31.1.1.1.1.${index}`, 'text', name],
    [`1.3.6.1.2.1.31.1.1.1.6.${index}`, 'counter64', 1_000_000_000_000 + Number(index)],
    [`1.3.6.1.2.1.31.1.1.1.7.${index}`, 'counter64', 2_000_000 + Number(index)],
    [`1.3.6.1.2.1.31.1.1.1.10.${index}`, 'counter64', 3_000_000_000_000 + Number(index)],
    [`1.3.6.1.2.1.31.1.1.1.11.${index}`, 'counter64', 4_000_000 + Number(index)],
    [`1.3.6.1.2.1.31.1.1.1.18.${index}`, 'text', alias],
  ]);
}

/** EntPhySensorEntry: type, scale, precision, value, status; entPhysicalDescr and entPhysicalName. */
function sensors(
  entry: string,
  cells: Readonly<Record<string, readonly [number, number, number, number, number, string, string]>>,
): SimValue[] {
  return Object.entries(cells).flatMap(
    ([index, [type, scale, precision, value, status, description, name]]): SimValue[] => [
      [`${entry}.1.${index}`, 'integer', type],
      [`${entry}.2.${index}`, 'integer', scale],
      [`${entry}.3.${index}`, 'integer', precision],
      [`${entry}.4.${index}`, 'integer', value],
      [`${entry}.5.${index}`, 'integer', status],
      [`1.3.6.1.2.1.47.1.1.1.1.2.${index}`, 'text', description],
      [`1.3.6.1.2.1.47.1.1.1.1.7.${index}`, 'text', name],
    ],
  );
}

/** A switch: sensors of all scales, one without a reading, two of one name; ports up, down, and a loopback. */
export const networkSwitch: SimValue[] = [
  ...system('Arista Networks EOS version 4.28.3M', '1.3.6.1.4.1.30065.1.3011', 'switch-1'),
  ...sensors('1.3.6.1.2.1.99.1.1.1', {
    1001: [8, 9, 1, 345, 1, 'Cpu temp sensor', 'TempSensor1'],
    1002: [6, 9, 2, 12350, 1, 'Power supply 1 input power', 'PowerSupply1 input'],
    1003: [5, 8, 0, 1530, 1, 'Power supply 1 input current', 'PowerSupply1 current'],
    1004: [10, 9, 0, 6200, 1, 'Fan tray 1 fan 1', 'Fan1/1'],
    1005: [8, 9, 1, 0, 2, 'Empty slot', 'TempSensor2'],
    1006: [3, 9, 0, 231, 1, 'Input', 'Voltage'],
    1007: [4, 9, 2, 1207, 1, 'Output', 'Voltage'],
    1008: [12, 9, 0, 1, 1, 'Door', 'Door'],
  }),
  ...interfaces({
    1: ['Ethernet1/1', 'node-1 eth0', 6, 1],
    2: ['Ethernet1/2', '', 6, 2],
    3: ['lo', '', 24, 1],
    4: ['Po1 50%', 'uplink', 161, 1],
  }),
];

/** An older switch of Cisco: its own sensor table, and 32-bit counters only. */
export const ciscoSwitch: SimValue[] = [
  ...system('Cisco IOS Software, C2960 Software', '1.3.6.1.4.1.9.1.694', 'switch-2'),
  ...sensors('1.3.6.1.4.1.9.9.91.1.1.1.1', {
    1010: [8, 9, 0, 38, 1, 'Switch 1 - Inlet Temp Sensor', 'Sw1 Inlet'],
  }),
  ['1.3.6.1.2.1.2.2.1.2.10101', 'text', 'GigabitEthernet0/1'],
  ['1.3.6.1.2.1.2.2.1.3.10101', 'integer', 6],
  ['1.3.6.1.2.1.2.2.1.8.10101', 'integer', 1],
  ['1.3.6.1.2.1.2.2.1.10.10101', 'counter', 123456],
  ['1.3.6.1.2.1.2.2.1.16.10101', 'counter', 654321],
];

/** A device whose texts mean harm: to YAML, to templates, to terminals, to references, to labels. */
export const hostile: SimValue[] = [
  ...system(
    'evil\n- name: injected\n  url: x \u001b]0;title\u0007 # "\u2028',
    '1.3.6.1.4.1.318.1.3.4.6',
    '${env:HOME}',
  ),
  ...rows(
    `${RPDU2}.9.4.3.1`,
    [
      [3, 'text'],
      [4, 'integer'],
      [7, 'integer'],
    ],
    {
      1: ['a: b # c\n- name: injected', 1, 10],
      2: ['${file:/etc/passwd}', 2, 20],
      3: ['x'.repeat(2000), 3, 30],
      4: ['"&anchor *alias !tag | > % @ `', 4, 40],
      5: ['\u001b[2J\u202eevil', 5, 50],
      6: ['\u{1f600}'.repeat(200), 5, 60],
      7: ['', 5, 70],
    },
  ),
  ...interfaces({
    1: ['eth }} 0', 'a', 6, 1],
    2: ['e == {{ 1.3 == x', 'b', 6, 1],
    3: ['same', 'c', 6, 1],
    4: ['same', 'd', 6, 1],
    5: ['${env:HOME}', 'e', 6, 1],
    6: ['with # and: colon?x=1&y%41', 'f', 6, 1],
    7: ['back\\slash "quoted" \'single\'', 'g', 6, 1],
  }),
];
