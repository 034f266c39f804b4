/** Sessions with a real BMC program, OpenIPMI's ipmi_sim, which speaks cipher suite 3. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TraceStep } from '../../../../src/lib/devices/driver.ts';
import { failureOf, GET_DEVICE_ID, getSensorReading, sessionWith } from '../../../support/ipmiSession.ts';
import { hasIpmiSim, hasIpmiTools, type SimBmc, startBmc } from '../../../support/ipmiSim.ts';
import { skipUnless } from '../../../support/skip.ts';

const TIMEOUT_MS = 3_000;

describe.skipIf(skipUnless('ipmi_sim', hasIpmiSim))('a session with ipmi_sim', () => {
  let bmc: SimBmc;
  beforeAll(async () => {
    bmc = await startBmc();
  });
  afterAll(() => bmc?.stop());

  test('is opened by the first request, and read like any BMC', async () => {
    const steps: TraceStep[] = [];
    const session = sessionWith(bmc, { trace: (step) => steps.push(step) });
    const beforeUs = Date.now() * 1000;
    const id = await session.request(GET_DEVICE_ID, TIMEOUT_MS);
    const power = await session.request(getSensorReading(7), TIMEOUT_MS);
    const unknown = await session.request(getSensorReading(99), TIMEOUT_MS);
    expect(session.describe()).toEqual([
      { name: 'address', text: '127.0.0.1' },
      { name: 'session', text: 'cipher suite 3 (HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128)' },
    ]);
    await session.close();
    expect(id.completionCode).toBe(0);
    expect(id.data.toString('hex')).toMatch(/^0003090802/);
    expect(power).toMatchObject({ completionCode: 0 });
    expect(power.data.toString('hex')).toBe('3cc00000');
    expect(unknown.completionCode).not.toBe(0);
    expect(id.requestUs).toBeGreaterThanOrEqual(beforeUs);
    expect(power.requestUs).toBeGreaterThanOrEqual(id.answerUs);
    expect(power.answerUs).toBeGreaterThanOrEqual(power.requestUs);
    expect(steps.map(({ step, text }) => `${step}: ${text}`)).toEqual([
      'resolve: 127.0.0.1 is an address already',
      `open: 127.0.0.1:${bmc.port} answers and speaks IPMI 2.0`,
      'open: the BMC gives a session with cipher suite 3 (HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128)',
      'authenticate: the BMC knows the user "root" and the password',
      'authenticate: both sides have the same session key',
      'authenticate: the privilege is user',
      'read: command 0x06 0x01 asked: 64 octets',
      'read: command 0x06 0x01 answered: 80 octets, completion code 0x00',
      'read: command 0x04 0x2d asked: 64 octets',
      'read: command 0x04 0x2d answered: 64 octets, completion code 0x00',
      'read: command 0x04 0x2d asked: 64 octets',
      expect.stringMatching(/^read: command 0x04 0x2d answered: 64 octets, completion code 0x[^0]/),
      'close: the session is closed',
    ]);
  });

  test.skipIf(skipUnless('ipmitool', hasIpmiTools))('reads while ipmitool reads the same BMC', async () => {
    const session = sessionWith(bmc, { user: 'kwoll', password: 'kwpass' });
    await session.request(GET_DEVICE_ID, TIMEOUT_MS);
    const tool = execFileSync(
      'ipmitool',
      [
        ...['-I', 'lanplus', '-C', '3', '-H', bmc.address, '-p', String(bmc.port)],
        ...['-U', 'root', '-P', 'calvin', 'raw', '4', '0x2d', '7'],
      ],
      { encoding: 'utf8' },
    );
    const { data } = await session.request(getSensorReading(7), TIMEOUT_MS);
    await session.close();
    expect(tool.trim().replaceAll(' ', '')).toBe(data.toString('hex'));
  });

  test.each([
    ['wrong password', { password: 'wrong' }, 'auth: wrong password for the user "root"'],
    ['unknown user', { user: 'nobody' }, 'auth: the BMC does not know the user "nobody"'],
    [
      'suite that it has not',
      { query: 'cipher=17' },
      'protocol: the BMC does not support cipher suite 17 (HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128)',
    ],
    [
      'user looked up with a privilege that he has not',
      { user: 'kwoll', password: 'kwpass', query: 'privilege=administrator&lookup=privilege' },
      'auth: the BMC does not know the user "kwoll" with the privilege administrator',
    ],
    [
      'key of the BMC that it has not',
      { query: 'kg=another' },
      'auth: wrong K_g key: the BMC has another one or none',
    ],
  ])('fails with a sentence of its own: %s', async (_name, options, sentence) => {
    const session = sessionWith(bmc, options);
    expect(await failureOf(session.request(GET_DEVICE_ID, 5_000))).toBe(sentence);
    await session.close();
  });

  test('fails at once where nothing listens', async () => {
    const gone = await startBmc();
    await gone.stop();
    const session = sessionWith(gone);
    const startMs = performance.now();
    expect(await failureOf(session.request(GET_DEVICE_ID, TIMEOUT_MS))).toBe(
      `refused: 127.0.0.1:${gone.port}: nothing listens there`,
    );
    expect(performance.now() - startMs).toBeLessThan(1_000);
    await session.close();
  });

  test('knows the K_g key of the BMC, and says when it is needed', async () => {
    const keyed = await startBmc({ kg: 'kg-of-the-bmc' });
    try {
      const session = sessionWith(keyed, { query: 'kg=kg-of-the-bmc' });
      expect(await session.request(getSensorReading(1), TIMEOUT_MS)).toMatchObject({ completionCode: 0 });
      await session.close();
      const without = sessionWith(keyed);
      expect(await failureOf(without.request(GET_DEVICE_ID, 5_000))).toMatch(/^auth: .*K_g key/);
      await without.close();
    } finally {
      await keyed.stop();
    }
  });
});
