/** What `ipmi-sensors` and `ipmitool` say of a BMC, to hold kw's readings against. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findProgram } from './skip.ts';

const run = promisify(execFile);
const TIMEOUT_MS = 30_000;

export interface BmcAddress {
  readonly address: string;
  readonly port: number;
}

export interface ToolOptions {
  readonly user?: string;
  readonly password?: string;
  readonly cipher?: number;
}

export interface SensorLine {
  readonly recordId: number;
  readonly name: string;
  /** As printed, `N/A` without a reading. */
  readonly reading: string;
  readonly units: string;
}

/** As Kwollect calls it, with what ipmi_sim needs besides. `folder` keeps its cache of records. */
export async function ipmiSensors(
  { address, port }: BmcAddress,
  folder: string,
  { user = 'root', password = 'calvin', cipher = 3 }: ToolOptions = {},
): Promise<SensorLine[]> {
  const { stdout } = await run(
    findProgram('ipmi-sensors') ?? 'ipmi-sensors',
    [
      ...[
        '-b',
        '-D',
        'LAN_2_0',
        '-h',
        `${address}:${port}`,
        '-u',
        user,
        '-p',
        password,
        '-I',
        String(cipher),
      ],
      ...['-W', 'opensesspriv', '--sdr-cache-recreate', `--sdr-cache-directory=${folder}`],
    ],
    { timeout: TIMEOUT_MS, encoding: 'latin1' },
  );
  // Kwollect drops the header, splits at `|` and strips.
  return stdout
    .trim()
    .split('\n')
    .filter((line) => /^\d+ +\|/.test(line))
    .map((line) => line.split('|').map((field) => field.trim()))
    .map(([id, name = '', , reading = '', units = '']) => ({ recordId: Number(id), name, reading, units }));
}

/** `ipmitool sensor list`: numbers with three decimals by name; sensors without a number are left out. */
export async function ipmitoolSensors(
  { address, port }: BmcAddress,
  { user = 'root', password = 'calvin', cipher = 3 }: ToolOptions = {},
): Promise<Map<string, string>> {
  const { stdout } = await run(
    'ipmitool',
    [
      ...[
        '-I',
        'lanplus',
        '-H',
        address,
        '-p',
        String(port),
        '-U',
        user,
        '-P',
        password,
        '-C',
        String(cipher),
      ],
      ...['sensor', 'list'],
    ],
    { timeout: TIMEOUT_MS, encoding: 'latin1' },
  );
  const lines = stdout.trim().split('\n');
  const fields = lines.map((line) => line.split('|').map((field) => field.trim()));
  return new Map(
    fields
      .filter(([, value = '']) => /^-?[\d.]+$/.test(value))
      .map(([name = '', value = '']) => [name, value]),
  );
}

/** C's `%.<digits>f`: the nearest decimal, the even one of two. */
export function printf(value: number, digits: number): string {
  const exact = value.toFixed(Math.min(100, digits + 60));
  const rest = exact.slice(exact.indexOf('.') + 1 + digits);
  const nearest = value.toFixed(digits);
  if (!/^50*$/.test(rest)) return nearest;
  const cut = exact.slice(0, exact.length - rest.length).replace(/\.$/, '');
  return Number(cut.at(-1)) % 2 === 0 ? cut : nearest;
}

/** What `ipmi-sensors` makes of a value before it prints `%.2f`: two decimals, rounded up only if positive. */
export function asIpmiSensors(value: number): string {
  const whole = Math.trunc(value);
  const hundredths = (value - whole) * 100;
  const up = hundredths - Math.trunc(hundredths) > 0.5 ? 1 : 0;
  return printf(whole + (Math.trunc(hundredths) + up) / 100, 2);
}
