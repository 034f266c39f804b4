import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { meanWatts, readEnergyCounters, readMemory, readTemperatures } from '../../../src/demo/sensors.ts';

let sys: string;

beforeEach(() => {
  sys = mkdtempSync(join(tmpdir(), 'kw-sensors-'));
});
afterEach(() => rmSync(sys, { recursive: true }));

function file(path: string, text: string): void {
  mkdirSync(dirname(join(sys, path)), { recursive: true });
  writeFileSync(join(sys, path), `${text}\n`);
}

describe("the demo's sensors", () => {
  test('a machine without any has none', () => {
    expect(readTemperatures(sys)).toEqual([]);
    expect(readEnergyCounters(sys)).toEqual([]);
  });

  test('temperatures come from thermal zones and hwmon chips, in the order of their numbers', () => {
    file('class/thermal/thermal_zone10/type', 'wifi');
    file('class/thermal/thermal_zone10/temp', '51000');
    file('class/thermal/thermal_zone2/type', 'x86_pkg_temp');
    file('class/thermal/thermal_zone2/temp', '45500');
    file('class/thermal/thermal_zone3/type', 'broken');
    file('class/hwmon/hwmon0/name', 'coretemp');
    file('class/hwmon/hwmon0/temp1_input', '40000');
    file('class/hwmon/hwmon0/temp1_label', 'Core 0');
    file('class/hwmon/hwmon0/temp2_input', '-3000');
    expect(readTemperatures(sys)).toEqual([
      { name: 'x86_pkg_temp', milliCelsius: 45_500 },
      { name: 'wifi', milliCelsius: 51_000 },
      { name: 'coretemp Core 0', milliCelsius: 40_000 },
      { name: 'coretemp temp2', milliCelsius: -3000 },
    ]);
  });

  test('energy is counted by package, not again by its parts', () => {
    file('class/powercap/intel-rapl:0/name', 'package-0');
    file('class/powercap/intel-rapl:0/energy_uj', '5000000');
    file('class/powercap/intel-rapl:0/max_energy_range_uj', '262143328850');
    file('class/powercap/intel-rapl:0:0/name', 'core');
    file('class/powercap/intel-rapl:0:0/energy_uj', '1');
    expect(readEnergyCounters(sys)).toEqual([
      { name: 'package-0', microJoule: 5e6, maxMicroJoule: 262_143_328_850 },
    ]);
  });

  test('power is the mean between two readings, over a wrap of the counter too', () => {
    const at = (microJoule: number) => ({ name: 'package-0', microJoule, maxMicroJoule: 100e6 });
    expect(meanWatts(at(5e6), at(25e6), 0.5)).toBe(40);
    expect(meanWatts(at(95e6), at(5e6), 1)).toBe(10);
  });

  test('available memory is what the kernel says', () => {
    file('meminfo', 'MemTotal:       24684084 kB\nMemAvailable:   23579732 kB');
    expect(readMemory(sys).availableKb).toBe(23_579_732);
  });
});
