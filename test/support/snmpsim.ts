/**
 * Simulated SNMP agents (snmpsim) over real UDP: each device is a list of values and answers to a community of its
 * own name. For tables of vendors whose devices are not at hand; net-snmp's agent (snmpd.ts) is the real one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import snmp from 'net-snmp';
import { freeUdpPort } from './freePort.ts';
import { findProgram } from './skip.ts';
import { temporaryFolder } from './temporaryFolder.ts';

/** Types as snmpsim's files number them. */
const TYPES = {
  integer: '2',
  text: '4',
  oid: '6',
  counter: '65',
  gauge: '66',
  ticks: '67',
  counter64: '70',
} as const;

/** A value: its OID, type and text. Text that is not printable ASCII is written in hexadecimal. */
export type SimValue = readonly [oid: string, type: keyof typeof TYPES, value: string | number];

export interface Snmpsim {
  readonly host: string;
  readonly port: number;
  stop(): Promise<void>;
}

export const snmpsimPath = findProgram('snmpsimd');

/** @throws Error when snmpsim is missing (tests skip before) or does not come up within 20 s */
export async function startSnmpsim(devices: Readonly<Record<string, readonly SimValue[]>>): Promise<Snmpsim> {
  if (!snmpsimPath) throw new Error('snmpsimd is missing: apt-get install snmpsim');
  const { folder, remove } = temporaryFolder();
  const [data, cache] = [join(folder, 'data'), join(folder, 'cache')];
  for (const path of [data, cache]) mkdirSync(path);
  // As root it becomes nobody, who must come in here.
  chmodSync(folder, 0o755);
  chmodSync(cache, 0o777);
  for (const [name, values] of Object.entries(devices))
    writeFileSync(join(data, `${name}.snmprec`), snmprec(values));
  const host = '127.0.0.1';
  const port = await freeUdpPort(host);
  const isRoot = process.getuid?.() === 0;
  const child = spawn(
    snmpsimPath,
    [
      ...(isRoot ? ['--process-user=nobody', '--process-group=nogroup'] : []),
      `--data-dir=${data}`,
      `--cache-dir=${cache}`,
      '--max-varbinds=256',
      '--logging-method=null',
      `--agent-udpv4-endpoint=${host}:${port}`,
    ],
    { stdio: 'ignore' },
  );
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
  const stop = async () => {
    await end(child);
    remove();
  };
  const [first = 'public'] = Object.keys(devices);
  for (let attempt = 0; attempt < 100 && child.exitCode === null; attempt++)
    if (await answers(host, port, first)) return { host, port, stop };
  await stop();
  throw new Error(`snmpsimd does not answer (exit code ${child.exitCode})`);
}

function snmprec(values: readonly SimValue[]): string {
  const sorted = [...values].sort(([left], [right]) => compareOids(left, right));
  return sorted.map((value) => `${line(value)}\n`).join('');
}

function line([oid, type, value]: SimValue): string {
  const text = String(value);
  if (type === 'text' && !/^[ -~]*$/.test(text))
    return `${oid}|${TYPES[type]}x|${Buffer.from(text).toString('hex')}`;
  return `${oid}|${TYPES[type]}|${text}`;
}

function compareOids(left: string, right: string): number {
  const [a, b] = [left.split('.').map(Number), right.split('.').map(Number)];
  for (let index = 0; index < Math.min(a.length, b.length); index++) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Waits 200 ms at most. */
async function answers(host: string, port: number, community: string): Promise<boolean> {
  const session = snmp.createSession(host, community, {
    port,
    version: snmp.Version2c,
    timeout: 200,
    retries: 0,
  });
  try {
    return await new Promise((resolve) => {
      session.getNext(['1.3'], (error) => resolve(!error));
    });
  } finally {
    session.close();
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}
