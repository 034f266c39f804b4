/**
 * A real SNMP agent (net-snmp's snmpd) for tests and benches: one process that answers on many loopback
 * addresses, each of them a PDU with 24 metered APC outlets and a server with an iDRAC, all with the same
 * values. Everything it writes is in a folder of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import snmp from 'net-snmp';
import { endProcess } from './endProcess.ts';
import { freeUdpPort } from './freePort.ts';
import { findProgram } from './skip.ts';
import { temporaryFolder } from './temporaryFolder.ts';

export const OUTLETS = 24;
/** Watts of outlet N are at this OID with `.N` behind it, 150 + N at first; names ("outlet1") at `OUTLET_NAME`. */
export const OUTLET_WATT = '1.3.6.1.4.1.318.1.1.26.9.4.3.1.7';
export const OUTLET_NAME = '1.3.6.1.4.1.318.1.1.26.9.4.3.1.3';
/** Watts of the whole board of a server: 238 at first. */
export const IDRAC_WATT = '1.3.6.1.4.1.674.10892.5.4.600.30.1.6.1.3';
/** Values of all kinds, each at `.0` of its own OID. */
export const VALUES = {
  counter32: '1.3.6.1.4.1.99999.1.0', // 4000000001
  gauge32: '1.3.6.1.4.1.99999.2.0', // 4000000000
  text: '1.3.6.1.4.1.99999.3.0', // hello
  negative: '1.3.6.1.4.1.99999.4.0', // -40
  numberText: '1.3.6.1.4.1.99999.5.0', // 230.5
  notAvailable: '1.3.6.1.4.1.99999.6.0', // N/A
  ticks: '1.3.6.1.4.1.99999.7.0', // 4200000000
  none: '1.3.6.1.4.1.99999.99.0', // no such instance
} as const;

/** v3 users; auth and priv passwords are `authpass123` and `privpass123`. */
const USERS = {
  kwnone: { level: 'noauth', create: '' },
  kwmd5: { level: 'auth', create: 'MD5 "authpass123" AES "privpass123"' },
  kwsha1: { level: 'auth', create: 'SHA "authpass123" AES "privpass123"' },
  kwsha1aes256: { level: 'auth', create: 'SHA "authpass123" AES-256 "privpass123"' },
  kwsha224: { level: 'auth', create: 'SHA-224 "authpass123" AES "privpass123"' },
  kwsha256: { level: 'auth', create: 'SHA-256 "authpass123" AES "privpass123"' },
  kwsha256aes256: { level: 'auth', create: 'SHA-256 "authpass123" AES-256 "privpass123"' },
  kwsha384: { level: 'auth', create: 'SHA-384 "authpass123" AES "privpass123"' },
  kwsha512: { level: 'auth', create: 'SHA-512 "authpass123" AES "privpass123"' },
  kwsha512aes256: { level: 'auth', create: 'SHA-512 "authpass123" AES-256 "privpass123"' },
  /** May do nothing without encryption. */
  kwpriv: { level: 'priv', create: 'SHA-256 "authpass123" AES "privpass123"' },
} as const;

export interface SnmpdOptions {
  /** How many addresses, from `firstAddress` upwards. Default 1. */
  readonly addresses?: number;
  /** Default 127.0.26.1. At most 254 addresses fit behind one prefix of three numbers. */
  readonly firstAddress?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Also listen on ::1. */
  readonly ipv6?: boolean;
  /** More lines of snmpd.conf. */
  readonly lines?: readonly string[];
}

export interface Snmpd {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly pid: number;
  /** Sets an integer, for all addresses. */
  set(oid: string, value: number): Promise<void>;
  /** Sets a text, for all addresses. */
  setText(oid: string, value: string): Promise<void>;
  /** Ends the agent and starts it anew on the same addresses: values and sysUpTime begin again. */
  restart(lines?: readonly string[]): Promise<void>;
  /** Stops answering, and answers again. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

export const snmpdPath = findProgram('snmpd');

/** @throws Error when snmpd is missing (tests skip before) or does not come up within 10 s */
export async function startSnmpd(options: SnmpdOptions = {}): Promise<Snmpd> {
  const { folder, remove } = temporaryFolder();
  const addresses = addressesFrom(options.firstAddress ?? '127.0.26.1', options.addresses ?? 1);
  const port = options.port ?? (await freeUdpPort(addresses[0] as string));
  const listen = addresses.map((address) => `udp:${address}:${port}`);
  if (options.ipv6) listen.push(`udp6:[::1]:${port}`);
  let child = await launch(folder, listen, options.lines ?? []);
  const manager = snmp.createSession(addresses[0] as string, 'private', {
    port,
    version: snmp.Version2c,
    timeout: 1000,
    retries: 3,
  });
  const write = (oid: string, type: number, value: number | string) =>
    new Promise<void>((resolve, reject) => {
      manager.set([{ oid, type, value }], (error) => (error ? reject(error) : resolve()));
    });
  return {
    addresses,
    port,
    get pid() {
      return child.pid as number;
    },
    set: (oid, value) => write(oid, snmp.ObjectType.Integer, value),
    setText: (oid, value) => write(oid, snmp.ObjectType.OctetString, value),
    async restart(lines) {
      await endProcess(child);
      child = await launch(folder, listen, lines ?? options.lines ?? []);
    },
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    async stop() {
      manager.close();
      await endProcess(child);
      remove();
    },
  };
}

async function launch(
  folder: string,
  listen: readonly string[],
  lines: readonly string[],
): Promise<ChildProcess> {
  if (!snmpdPath) throw new Error('snmpd is missing: apt-get install snmpd');
  const configuration = join(folder, 'snmpd.conf');
  writeFileSync(configuration, `${[...baseLines(), ...lines].join('\n')}\n`);
  // Addresses on the command line: a long agentAddress line in the file is cut silently.
  const child = spawn(
    snmpdPath,
    ['-f', '-C', '-c', configuration, '-Lf', join(folder, 'log'), '-I', '-smux', ...listen],
    { stdio: 'ignore', env: { ...process.env, SNMP_PERSISTENT_DIR: folder, MIBS: '' } },
  );
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
  const [, address = '', port = ''] = /^udp:(.*):(\d+)$/.exec(listen[0] as string) ?? [];
  for (let attempt = 0; attempt < 50; attempt++) {
    if (child.exitCode !== null) throw new Error(`snmpd ended with ${child.exitCode}, see ${folder}/log`);
    if (await answers(address, Number(port))) return child;
  }
  child.kill('SIGKILL');
  throw new Error(`snmpd does not answer, see ${folder}/log`);
}

function baseLines(): string[] {
  const lines = [
    'rocommunity public 127.0.0.0/8',
    'rocommunity6 public ::1',
    'rwcommunity private 127.0.0.0/8',
    'master no',
    'sysName kw-test',
    'dontLogTCPWrappersConnects yes',
    'maxGetbulkRepeats 0',
    'maxGetbulkResponses 0',
    `override -rw ${IDRAC_WATT} integer 238`,
    `override ${VALUES.counter32} counter 4000000001`,
    `override ${VALUES.gauge32} unsigned 4000000000`,
    `override -rw ${VALUES.text} octet_str "hello"`,
    `override -rw ${VALUES.negative} integer -40`,
    `override -rw ${VALUES.numberText} octet_str "230.5"`,
    `override ${VALUES.notAvailable} octet_str "N/A"`,
    `override ${VALUES.ticks} timeticks 4200000000`,
  ];
  for (let outlet = 1; outlet <= OUTLETS; outlet++) {
    lines.push(`override -rw ${OUTLET_WATT}.${outlet} integer ${150 + outlet}`);
    lines.push(`override -rw ${OUTLET_NAME}.${outlet} octet_str "outlet${outlet}"`);
  }
  for (const [name, { level, create }] of Object.entries(USERS)) {
    lines.push(`createUser ${name} ${create}`, `rouser ${name} ${level}`);
  }
  return lines;
}

/** Waits 200 ms at most. */
async function answers(address: string, port: number): Promise<boolean> {
  const session = snmp.createSession(address, 'public', {
    port,
    version: snmp.Version2c,
    timeout: 200,
    retries: 0,
  });
  try {
    return await new Promise((resolve) => {
      session.get(['1.3.6.1.2.1.1.3.0'], (error) => resolve(!error));
    });
  } finally {
    session.close();
  }
}

function addressesFrom(first: string, count: number): string[] {
  const [, prefix = '', last = ''] = /^(\d+\.\d+\.\d+\.)(\d+)$/.exec(first) ?? [];
  if (Number(last) + count > 255) throw new Error(`${count} addresses do not fit behind ${first}`);
  return Array.from({ length: count }, (_, index) => `${prefix}${Number(last) + index}`);
}
