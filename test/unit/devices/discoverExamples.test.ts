/** The help of `kw device discover` shows each protocol that it speaks, by URLs that it takes. */
import { expect, it } from 'vitest';
import DeviceDiscover from '../../../src/commands/device/discover.ts';
import { driverFor, knownSchemes } from '../../../src/lib/devices/registry.ts';

const urls = DeviceDiscover.examples.map((example) => /\w+:\/\/[^\s']+/.exec(example)?.[0] ?? '');

it('has an example for each protocol that can be discovered', () => {
  const drivers = new Set(knownSchemes().map(driverFor));
  const able = [...drivers].filter(
    (driver) => driver !== undefined && 'discover' in driver && driver.discover,
  );
  expect(able.length).toBeGreaterThan(2);
  for (const driver of able) {
    const shown = urls.some((url) => driver?.schemes.includes(url.split(':')[0] ?? ''));
    expect(shown, driver?.urlForm).toBe(true);
  }
});

it.each(urls)('%s is a URL of a device', (url) => {
  const driver = driverFor(url.split(':')[0] ?? '');
  if (driver === undefined || !('parseDeviceUrl' in driver)) throw new Error('no such protocol');
  const secret = (text: string) => text.replace(/\$\{env:\w+\}/g, 'secret-secret');
  expect(
    driver.parseDeviceUrl?.(url, { resolveSecret: secret, credential: { community: 'public' } }).hostPort,
  ).toMatch(/^[a-z]+-/);
});
