/**
 * What this machine can tell about itself without any privilege, for the demo's agent: load, memory,
 * temperatures, and the energy counters of the processor (RAPL) where the kernel lets this user read them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { cpus, freemem, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';

export interface Temperature {
  readonly name: string;
  readonly milliCelsius: number;
}

/** One counter of energy; it wraps around at `maxMicroJoule`. */
export interface EnergyCounter {
  readonly name: string;
  readonly microJoule: number;
  readonly maxMicroJoule: number;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function readNumber(path: string): number | undefined {
  const number = Number(readText(path) || Number.NaN);
  return Number.isFinite(number) ? number : undefined;
}

function list(folder: string, pattern: RegExp): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => pattern.test(name))
      .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  } catch {
    return [];
  }
}

/** From the thermal zones and the hwmon chips of /sys. `sys` is another root for tests. */
export function readTemperatures(sys = '/sys'): Temperature[] {
  const found: Temperature[] = [];
  const add = (name: string, path: string): void => {
    const milliCelsius = readNumber(path);
    if (milliCelsius !== undefined) found.push({ name, milliCelsius });
  };
  const zones = join(sys, 'class/thermal');
  for (const zone of list(zones, /^thermal_zone\d+$/)) {
    add(readText(join(zones, zone, 'type')) ?? zone, join(zones, zone, 'temp'));
  }
  const chips = join(sys, 'class/hwmon');
  for (const chip of list(chips, /^hwmon\d+$/)) {
    const chipName = readText(join(chips, chip, 'name')) ?? chip;
    for (const input of list(join(chips, chip), /^temp\d+_input$/)) {
      const label =
        readText(join(chips, chip, input.replace('_input', '_label'))) ?? input.replace('_input', '');
      add(`${chipName} ${label}`, join(chips, chip, input));
    }
  }
  return found;
}

/** The processor packages only: cores and memory are parts of them. */
export function readEnergyCounters(sys = '/sys'): EnergyCounter[] {
  const folder = join(sys, 'class/powercap');
  return list(folder, /^intel-rapl:\d+$/).flatMap((zone) => {
    const microJoule = readNumber(join(folder, zone, 'energy_uj'));
    const maxMicroJoule = readNumber(join(folder, zone, 'max_energy_range_uj'));
    if (microJoule === undefined || maxMicroJoule === undefined) return [];
    return [{ name: readText(join(folder, zone, 'name')) ?? zone, microJoule, maxMicroJoule }];
  });
}

/** Mean power between two readings of the same counter. */
export function meanWatts(before: EnergyCounter, after: EnergyCounter, seconds: number): number {
  const wrapped = after.microJoule < before.microJoule ? after.maxMicroJoule : 0;
  return (after.microJoule + wrapped - before.microJoule) / 1e6 / seconds;
}

/** Kilobytes, as the UCD MIB counts. */
export function readMemory(proc = '/proc'): { totalKb: number; availableKb: number } {
  const available = /^MemAvailable:\s+(\d+) kB$/m.exec(readText(join(proc, 'meminfo')) ?? '');
  return {
    totalKb: Math.round(totalmem() / 1024),
    availableKb: available ? Number(available[1]) : Math.round(freemem() / 1024),
  };
}

/** Averages of 1, 5 and 15 minutes, in hundredths. */
export function readLoads(): number[] {
  return loadavg().map((load) => Math.round(load * 100));
}

/** Seconds that processors have been busy since boot, of all together. */
export function readBusySeconds(): number {
  const milliseconds = cpus().map(({ times }) => times.user + times.nice + times.sys + times.irq);
  return milliseconds.reduce((sum, ms) => sum + ms, 0) / 1000;
}
