/** Every protocol that kw speaks. A new one is a folder beside this file and a line here. */
import type { AnyDriver } from './driver.ts';
import { ipmiDriver } from './ipmi/driver.ts';
import { modbusDriver } from './modbus/driver.ts';
import { mqttDriver } from './mqtt/driver.ts';
import { prometheusDriver } from './prometheus/driver.ts';
import { redfishDriver } from './redfish/driver.ts';
import { snmpDriver } from './snmp/driver.ts';
import { wattmeterDriver } from './wattmeter/driver.ts';

const drivers: readonly AnyDriver[] = [
  ipmiDriver,
  modbusDriver,
  mqttDriver,
  prometheusDriver,
  redfishDriver,
  snmpDriver,
  wattmeterDriver,
];

const byScheme = new Map(
  drivers.flatMap((driver) => driver.schemes.map((scheme) => [scheme, driver] as const)),
);

/** The driver for a URL scheme, or undefined. */
export function driverFor(scheme: string): AnyDriver | undefined {
  return byScheme.get(scheme);
}

export function knownSchemes(): string[] {
  return [...byScheme.keys()];
}

export function allDrivers(): readonly AnyDriver[] {
  return drivers;
}
