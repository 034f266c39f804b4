/**
 * Real BMCs for tests and benches: OpenIPMI's ipmi_sim, a process each, on loopback addresses. Each has eight
 * sensors whose raw values are files that ipmi_sim reads again and again, and DCMI power where its module can be
 * built (gcc and libopenipmi-dev). ipmi_sim speaks cipher suite 3; for 17 there is testBmc.ts.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { endProcess } from './endProcess.ts';
import { freeUdpPort } from './freePort.ts';
import { findProgram, hasProgram } from './skip.ts';
import { temporaryFolder } from './temporaryFolder.ts';

const ipmiSimPath = findProgram('ipmi_sim');
/** For `skipUnless`: the programs of `apt-get install openipmi ipmitool freeipmi-tools`. */
export const hasIpmiSim = ipmiSimPath !== undefined;
export const hasIpmiTools = hasProgram('ipmitool') && hasProgram('ipmi-sensors');
/** `apt-get install gcc libc6-dev libopenipmi-dev` */
export const canBuildDcmi = hasProgram('gcc') && existsSync('/usr/include/OpenIPMI/serv.h');

/** A sensor of the simulated BMC: its value is `raw * m * 10^exponent` of the unit. */
export interface SimSensor {
  readonly number: number;
  readonly name: string;
  /** Tables 42-3 and 43-15 of IPMI 2.0. */
  readonly type: number;
  readonly unit: number;
  readonly m: number;
  readonly exponent: number;
  /** At the start. */
  readonly raw: number;
  /** Lower non-recoverable, critical, non-critical; upper non-critical, critical, non-recoverable. */
  readonly thresholds: readonly [number, number, number, number, number, number];
  readonly entity: number;
}

export const SIM_SENSORS: readonly SimSensor[] = [
  sensor(1, 'Inlet Temp', { type: 1, unit: 1, raw: 23, entity: 0x37 }, [1, 3, 5, 42, 47, 50]),
  sensor(2, 'CPU1 Temp', { type: 1, unit: 1, raw: 48, entity: 0x03 }, [1, 3, 5, 85, 90, 95]),
  sensor(3, 'CPU2 Temp', { type: 1, unit: 1, raw: 51, entity: 0x03 }, [1, 3, 5, 85, 90, 95]),
  sensor(4, 'Fan1 RPM', { type: 4, unit: 18, m: 60, raw: 90, entity: 0x1d }, [1, 5, 8, 250, 253, 255]),
  sensor(5, 'Fan2 RPM', { type: 4, unit: 18, m: 60, raw: 92, entity: 0x1d }, [1, 5, 8, 250, 253, 255]),
  sensor(
    6,
    'Voltage 12V',
    { type: 2, unit: 4, m: 6, exponent: -2, raw: 200, entity: 0x13 },
    [1, 150, 160, 220, 230, 255],
  ),
  sensor(
    7,
    'Pwr Consumption',
    { type: 0x0b, unit: 6, m: 4, raw: 60, entity: 0x07 },
    [0, 0, 0, 200, 220, 250],
  ),
  sensor(
    8,
    'PS1 Current',
    { type: 3, unit: 5, m: 2, exponent: -2, raw: 52, entity: 0x0a },
    [0, 0, 0, 200, 220, 250],
  ),
];

function sensor(
  number: number,
  name: string,
  fields: Pick<SimSensor, 'type' | 'unit' | 'raw' | 'entity'> & { m?: number; exponent?: number },
  thresholds: SimSensor['thresholds'],
): SimSensor {
  return { number, name, m: 1, exponent: 0, ...fields, thresholds };
}

/** `root` is an administrator, `kwoll` an ordinary user. */
const SIM_USERS = [
  { name: 'root', password: 'calvin', privilege: 'admin' },
  { name: 'kwoll', password: 'kwpass', privilege: 'user' },
] as const;

export interface BmcOptions {
  /** Default 127.0.0.1. */
  readonly address?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Default SIM_SENSORS. */
  readonly sensors?: readonly SimSensor[];
  /** More SDRs, as bytes; their sensors have no values of their own. */
  readonly records?: readonly Uint8Array[];
  /** How often the files of the sensors are read. Default 100. */
  readonly pollMs?: number;
  /** Most sessions of a user. Default 20. */
  readonly maxSessions?: number;
  /** K_g: at most 15 characters are read. */
  readonly kg?: string;
  /** DCMI if it can be built, by default. */
  readonly dcmi?: boolean;
}

export interface SimBmc {
  readonly address: string;
  readonly port: number;
  readonly pid: number;
  /** Sets the raw value of a sensor; the BMC gives it within `pollMs`. */
  setRaw(sensor: number, raw: number): void;
  /** Watts of DCMI: now, least, most, average. */
  setDcmi(watts: readonly [number, number, number, number]): void;
  /** Stops answering, and answers again. */
  pause(): void;
  resume(): void;
  /** Ends the process: its sessions are lost. */
  kill(): Promise<void>;
  /** Starts it again on the same address. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** @throws Error when ipmi_sim is missing (tests skip before) or does not come up within 10 s */
export async function startBmc(options: BmcOptions = {}): Promise<SimBmc> {
  const { folder, remove } = temporaryFolder();
  const address = options.address ?? '127.0.0.1';
  const port = options.port ?? (await freeUdpPort(address));
  for (const name of ['state', 'sensors']) mkdirSync(join(folder, name));
  const dcmiPath = join(folder, 'dcmi');
  const setRaw = (number: number, raw: number) =>
    writeFileSync(join(folder, 'sensors', String(number)), `${raw}\n`);
  const setDcmi = (watts: readonly number[]) => writeFileSync(dcmiPath, `${watts.join(' ')}\n`);
  const sensors = options.sensors ?? SIM_SENSORS;
  for (const { number, raw } of sensors) setRaw(number, raw);
  setDcmi([241, 100, 320, 236]);

  const module = (options.dcmi ?? canBuildDcmi) ? dcmiModule() : undefined;
  writeFileSync(
    join(folder, 'lan.conf'),
    lanConfiguration(address, port, options, module && `"${module}" "${dcmiPath}"`),
  );
  writeFileSync(
    join(folder, 'sim.emu'),
    emulatorCommands(folder, sensors, options.records ?? [], options.pollMs ?? 100),
  );
  let child = await launch(folder, address, port);
  return {
    address,
    port,
    get pid() {
      return child.pid as number;
    },
    setRaw,
    setDcmi,
    pause: () => child.kill('SIGSTOP'),
    resume: () => child.kill('SIGCONT'),
    kill: () => endProcess(child, 1_000),
    async restart() {
      await endProcess(child, 1_000);
      child = await launch(folder, address, port);
    },
    async stop() {
      await endProcess(child, 1_000);
      remove();
    },
  };
}

/** BMCs on the addresses `127.0.<net>.1` upwards, all on one port. */
export async function startBmcs(count: number, net: number, options: BmcOptions = {}): Promise<SimBmc[]> {
  const port = options.port ?? (await freeUdpPort(`127.0.${net}.1`));
  const addresses = Array.from({ length: count }, (_, index) => `127.0.${net}.${index + 1}`);
  return Promise.all(addresses.map((address) => startBmc({ ...options, address, port })));
}

let builtModule: string | undefined;

function dcmiModule(): string {
  if (builtModule) return builtModule;
  const { folder, remove } = temporaryFolder();
  process.once('exit', remove);
  const path = join(folder, 'dcmi.so');
  const source = fileURLToPath(new URL('./ipmiSimDcmi.c', import.meta.url));
  execFileSync('gcc', ['-O1', '-fPIC', '-shared', '-o', path, source], { stdio: 'pipe', timeout: 60_000 });
  builtModule = path;
  return path;
}

function lanConfiguration(address: string, port: number, options: BmcOptions, module?: string): string {
  const most = options.maxSessions ?? 20;
  const levels = ['callback', 'user', 'operator', 'admin'];
  return [
    'name "kw-test"',
    'set_working_mc 0x20',
    'startlan 1',
    `addr ${address} ${port}`,
    'priv_limit admin',
    ...levels.map((level) => `allowed_auths_${level} none md2 md5 straight`),
    'guid 6b7774657374424d430000000000000a',
    ...(options.kg === undefined ? [] : [`bmc_key "${options.kg}"`]),
    'endlan',
    `user 1 true "" "test" user ${most}`,
    ...SIM_USERS.map(
      ({ name, password, privilege }, index) =>
        `user ${index + 2} true "${name}" "${password}" ${privilege} ${most}`,
    ),
    ...(module ? [`loadlib ${module}`] : []),
    '',
  ].join('\n');
}

/** Full SDRs (table 43-1) of the sensors, and their values. */
function emulatorCommands(
  folder: string,
  sensors: readonly SimSensor[],
  records: readonly Uint8Array[],
  pollMs: number,
): string {
  const lines = [
    'mc_setbmc 0x20',
    'mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02',
    'sel_enable 0x20 1000 0x0a',
  ];
  for (const { number, type, raw, thresholds } of sensors) {
    const [lnr, lc, lnc, unc, uc, unr] = thresholds;
    const path = join(folder, 'sensors', String(number));
    lines.push(
      `sensor_add 0x20 0 ${number} ${type} 1 poll ${pollMs} file "${path}"`,
      `sensor_set_value 0x20 0 ${number} ${raw} 0`,
      `sensor_set_threshold 0x20 0 ${number} settable 111111 ${unr} ${uc} ${unc} ${lnr} ${lc} ${lnc}`,
      `sensor_set_event_support 0x20 0 ${number} enable scanning per-state ${Array(4).fill('000111111111111').join(' ')}`,
    );
  }
  const own = sensors.map((one, index) => fullRecord(index + 1, one));
  for (const record of [...own, ...records])
    lines.push(`main_sdr_add 0x20 ${[...record].map((octet) => `0x${octet.toString(16)}`).join(' ')}`);
  lines.push('mc_enable 0x20', '');
  return lines.join('\n');
}

function fullRecord(id: number, { number, name, type, unit, m, exponent, thresholds, entity }: SimSensor) {
  const [lnr, lc, lnc, unc, uc, unr] = thresholds;
  const body = [
    ...[0x20, 0, number, entity, 1, 0x7f, 0x68, type, 0x01],
    ...[0, 0, 0, 0, 0x3f, 0], // no events; thresholds may be read
    ...[0, unit, 0], // unsigned, plain unit
    ...[0, m & 0xff, ((m >> 8) & 3) << 6, 0, 0, 0, (exponent & 0xf) << 4], // linear, B = 0
    ...[0, 0x40, 0xf0, 0x01, 0xff, 0, unr, uc, unc, lnr, lc, lnc, 1, 1, 0, 0, 0],
    ...[0xc0 | name.length, ...Buffer.from(name)],
  ];
  return Uint8Array.from([id & 0xff, id >> 8, 0x51, 0x01, body.length, ...body]);
}

async function launch(folder: string, address: string, port: number): Promise<ChildProcess> {
  if (!ipmiSimPath) throw new Error('ipmi_sim is missing: apt-get install openipmi');
  const log = openSync(join(folder, 'log'), 'a');
  const child = spawn(
    ipmiSimPath,
    ['-c', join(folder, 'lan.conf'), '-f', join(folder, 'sim.emu'), '-s', join(folder, 'state'), '-n'],
    { stdio: ['ignore', log, log] },
  );
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.removeListener('exit', kill));
  const deadlineMs = performance.now() + 10_000;
  while (performance.now() < deadlineMs) {
    if (child.exitCode !== null) throw new Error(`ipmi_sim ended with ${child.exitCode}, see ${folder}/log`);
    if (await answers(address, port)) return child;
  }
  child.kill('SIGKILL');
  throw new Error(`ipmi_sim does not answer, see ${folder}/log`);
}

/** Get Channel Authentication Capabilities outside of a session (section 22.13), as every console begins. */
const HELLO = Buffer.from('0600ff07000000000000000000092018c88100388e04b5', 'hex');

/** Waits 100 ms at most. */
async function answers(address: string, port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  try {
    socket.on('error', () => {});
    socket.send(HELLO, port, address);
    return await Promise.race([once(socket, 'message').then(() => true), sleep(100).then(() => false)]);
  } finally {
    socket.close();
  }
}
