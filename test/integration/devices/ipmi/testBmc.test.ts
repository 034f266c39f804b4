/** The BMC of our own that has cipher suite 17: real ipmitool and ipmi-sensors must take it for a BMC, and kw too. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BmcSensors } from '../../../support/bmcSensors.ts';
import { failureOf, GET_DEVICE_ID, getSensorReading, sessionWith } from '../../../support/ipmiSession.ts';
import { hasIpmiTools } from '../../../support/ipmiSim.ts';
import { fullRecord } from '../../../support/sdr.ts';
import { skipUnless } from '../../../support/skip.ts';
import { temporaryFolder } from '../../../support/temporaryFolder.ts';
import { startTestBmc, type TestBmc } from '../../../support/testBmc.ts';

const TIMEOUT_MS = 3_000;
const KG = '20 octets of a key!!';
const run = promisify(execFile);

describe.each([undefined, KG])('a test BMC with the K_g key %s', (kg) => {
  let bmc: TestBmc;
  beforeAll(async () => {
    const sensors = new BmcSensors({
      records: [
        fullRecord({ recordId: 1, number: 1, name: 'Inlet Temp', units: [0, 1, 0] }),
        fullRecord({ recordId: 2, number: 2, name: 'Board Power', units: [0, 6, 0], sensorType: 0x0b, m: 4 }),
      ],
      readings: new Map([
        [1, [23, 0xc0, 0xc0]],
        [2, [60, 0xc0, 0xc0]],
      ]),
    });
    bmc = await startTestBmc({ handle: sensors.handle, ...(kg !== undefined && { kg }) });
  });
  afterAll(() => bmc?.stop());

  describe.skipIf(skipUnless('ipmitool and ipmi-sensors', hasIpmiTools))('is a BMC', () => {
    test.each(['3', '17'])('to ipmitool with cipher suite %s', async (suite) => {
      const { stdout } = await run('ipmitool', [
        ...['-I', 'lanplus', '-H', bmc.address, '-p', String(bmc.port), '-U', 'root', '-P', 'calvin'],
        ...['-C', suite, ...(kg === undefined ? [] : ['-k', kg]), 'sdr', 'list'],
      ]);
      expect(stdout.replaceAll(/ +/g, ' ')).toBe(
        'Inlet Temp | 23 degrees C | ok\nBoard Power | 240 Watts | ok\n',
      );
    });

    test.each(['3', '17'])('to ipmi-sensors with cipher suite %s', async (suite) => {
      const { folder, remove } = temporaryFolder();
      const { stdout } = await run('ipmi-sensors', [
        ...['-h', `${bmc.address}:${bmc.port}`, '-u', 'root', '-p', 'calvin', '-D', 'LAN_2_0', '-I', suite],
        ...(kg === undefined ? [] : ['-k', kg]),
        ...[
          `--sdr-cache-directory=${folder}`,
          '--no-header-output',
          '--comma-separated-output',
          '--quiet-cache',
        ],
      ]).finally(remove);
      expect(stdout).toBe(
        "1,Inlet Temp,Temperature,23.00,C,'OK'\n2,Board Power,Other Units Based Sensor,240.00,W,'OK'\n",
      );
    });
  });

  test.each([
    ['', 17],
    ['cipher=17', 17],
    ['cipher=3', 3],
  ])('is read by kw: ?%s', async (query, suite) => {
    const all = [query, ...(kg === undefined ? [] : [`kg=${encodeURIComponent(kg)}`])].filter(Boolean);
    const session = sessionWith(bmc, { query: all.join('&') });
    const reading = await session.request(getSensorReading(2), TIMEOUT_MS);
    const facts = session.describe();
    await session.close();
    expect(reading.data).toEqual(Buffer.from([60, 0xc0, 0xc0]));
    expect(facts[1]?.text).toMatch(`cipher suite ${suite} `);
    expect(bmc.active).toBe(0);
    expect(bmc.dropped).toEqual([]);
  });
});

test('the key of a BMC is asked for', async () => {
  const bmc = await startTestBmc({ kg: KG });
  const session = sessionWith(bmc);
  expect(await failureOf(session.request(GET_DEVICE_ID, TIMEOUT_MS))).toBe(
    'auth: the BMC has a K_g key, which must be given (kg)',
  );
  await session.close();
  await bmc.stop();
});
