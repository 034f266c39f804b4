/** What `kw device probe` says of a stream. */
import { expect, test } from 'vitest';
import type { DeviceUrl, SessionContext, StreamDriver } from '../../../src/lib/devices/driver.ts';
import { probeStream } from '../../../src/lib/devices/probeStream.ts';

test('a problem that a stream tells every second is told once, with how often it came', async () => {
  const url: DeviceUrl = { scheme: 'fake', endpointKey: 'h', safeUrl: 'fake://h', hostPort: 'h' };
  const driver: StreamDriver = {
    schemes: ['fake'],
    urlForm: 'fake://HOST',
    parseUrl: () => url,
    openStream: (_deviceId, _url, _context, sink) => ({
      configure() {
        sink.problems([
          { kind: 'value', message: '"a": is JSON (2 times)', count: 2 },
          { kind: 'missing', message: '"a": no reading', count: 1 },
        ]);
        sink.problems([{ kind: 'value', message: '"b": is JSON (3 times)', count: 3 }]);
        sink.problems([{ kind: 'value', message: '"a": is JSON', count: 1 }]);
        sink.ended();
      },
      close: async () => {},
    }),
  };
  const context: SessionContext = { nowUs: () => 0, isConfiguredMetric: () => false };
  const { result } = await probeStream(driver, {
    deviceId: 'h',
    url,
    metricId: 'm',
    context,
    timeoutMs: 1000,
  });
  expect(result.problems).toEqual([
    { kind: 'value', message: '"a": is JSON (6 times)', count: 6 },
    { kind: 'missing', message: '"a": no reading', count: 1 },
  ]);
});
