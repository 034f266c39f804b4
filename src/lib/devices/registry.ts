/** Every protocol that kw speaks. A new one is a folder beside this file and a line here. */
import type { Driver } from './driver.ts';
import { prometheusDriver } from './prometheus/driver.ts';
import { snmpDriver } from './snmp/driver.ts';

const drivers: readonly Driver[] = [prometheusDriver, snmpDriver];

const byScheme = new Map(
  drivers.flatMap((driver) => driver.schemes.map((scheme) => [scheme, driver] as const)),
);

/** The driver for a URL scheme, or undefined. */
export function driverFor(scheme: string): Driver | undefined {
  return byScheme.get(scheme);
}

export function knownSchemes(): string[] {
  return [...byScheme.keys()];
}
