import { describe, expect, it } from 'vitest';
import { decodePowerReading } from '../../../../src/lib/devices/ipmi/dcmi.ts';
import { ipmiDriver } from '../../../../src/lib/devices/ipmi/driver.ts';
import { IpmiError } from '../../../../src/lib/devices/ipmi/errors.ts';
import { IpmiPoll, type PollBmc } from '../../../../src/lib/devices/ipmi/poll.ts';
import type { Command } from '../../../../src/lib/devices/ipmi/requester.ts';
import { SensorCatalogue } from '../../../../src/lib/devices/ipmi/sensorCatalogue.ts';
import { decodeSensorReading } from '../../../../src/lib/devices/ipmi/sensorReading.ts';
import { random } from '../../../support/random.ts';
import { compactRecord, eventOnlyRecord, fullRecord } from '../../../support/sdr.ts';
import { SdrBmc } from '../../../support/sdrBmc.ts';

const RECORDS = [
  fullRecord({ recordId: 1, number: 1, name: 'Inlet Temp' }),
  fullRecord({ recordId: 2, number: 2, name: 'Power', units: [0, 6, 0], m: 4 }),
  fullRecord({ recordId: 3, number: 3, name: 'Curve', linearization: 0x70 }),
  fullRecord({ recordId: 4, number: 4, name: 'On LUN 2', ownerLun: 2 }),
  fullRecord({ recordId: 5, number: 5, name: 'Satellite', ownerId: 0x2c }),
  fullRecord({ recordId: 6, number: 6, name: 'Software', ownerId: 0x41 }),
  fullRecord({ recordId: 7, number: 7, name: 'Reserved', linearization: 0x0c }),
  compactRecord({ recordId: 8, number: 8, name: 'PS1 Status', sensorType: 0x08 }),
  compactRecord({ recordId: 9, number: 9, name: 'Fan', eventType: 0x0b, shareCount: 2, modifier: 'alpha' }),
  eventOnlyRecord({ recordId: 10, number: 10, name: 'SEL' }),
];
const READING = '04:2d';
const FACTORS = '04:23';
const POWER = '2c:02';

interface Asked {
  readonly poll: IpmiPoll;
  readonly bmc: SdrBmc;
  readonly timeouts: number[];
}

/** A poll of sensors by name, or of `dcmi:power`; each metric has the name of its sensor. */
function pollOf(sensors: string[], bmc = new SdrBmc({ records: RECORDS })): Asked {
  const timeouts: number[] = [];
  const line: PollBmc = {
    answers: 0,
    async request(command: Command, timeoutMs: number) {
      const isReading = command.netFn === 4 || command.netFn === 0x2c;
      if (isReading) timeouts.push(timeoutMs);
      const reply = await bmc.request(command);
      (this as { answers: number }).answers++;
      return reply;
    },
    nowUs: () => 5,
    describe: () => [],
    catalogue: undefined as unknown as SensorCatalogue,
  };
  Object.assign(line, { catalogue: new SensorCatalogue(line, 'bmc:623', undefined) });
  const poll = new IpmiPoll(
    line,
    sensors.map((sensor) => {
      const [, quantity] = /^dcmi:(.*)$/.exec(sensor) ?? [];
      const text = quantity ? `ipmi-dcmi://u:p@bmc/${quantity}` : `ipmisensor://u:p@bmc/${sensor}`;
      const url = ipmiDriver.parseUrl(text, { resolveSecret: (secret) => secret });
      return { url, deviceId: 'd', metricId: sensor, labels: { a: 'b' }, scaleFactor: undefined };
    }),
  );
  return { poll, bmc, timeouts };
}

const numberOf = ({ data }: Command) => data?.[0] as number;

describe('a pass over a BMC', () => {
  it('reads each sensor once, in its own unit, at the middle of the pass', async () => {
    const { poll, bmc } = pollOf(['Inlet Temp', 'Power', '2', 'On LUN 2']);
    const luns: (number | undefined)[] = [];
    bmc.answers.set(READING, (command) => {
      luns.push(command.lun);
      return [0, Buffer.from([10 * numberOf(command), 0xc0, 0xc0])];
    });
    bmc.nowUs = 0;
    const { up, timestampUs, samples, problems } = await poll.read(1000);
    expect([up, problems]).toEqual([true, []]);
    expect(samples.map(({ series, value }) => [series.metricId, value])).toEqual([
      ['Inlet Temp', 10],
      ['Power', 80],
      ['2', 80],
      ['On LUN 2', 40],
    ]);
    expect(luns).toEqual([0, 0, 2]);
    // Records took 12 answers of 1 ms; three readings follow.
    expect(timestampUs).toBe(12_000 + 1_500);
    expect(samples[0]?.series.labels).toEqual({ a: 'b' });
    const again = await poll.read(1000);
    expect(again.samples[0]?.series).toBe(samples[0]?.series);
    expect(bmc.count('0a:23')).toBe(RECORDS.length);
  });

  it('gives no row for what has no reading, and says why', async () => {
    const { poll, bmc } = pollOf([
      'Inlet Temp',
      'Power',
      'On LUN 2',
      'Satellite',
      'Software',
      'Reserved',
      'SEL',
      'x',
    ]);
    bmc.answers.set(READING, (command) => {
      const answers: Record<number, [number, Buffer]> = {
        1: [0, Buffer.from([20, 0xe0])],
        2: [0, Buffer.from([20, 0x80])],
        4: [0xcb, Buffer.alloc(0)],
      };
      return answers[numberOf(command)] as [number, Buffer];
    });
    const { up, samples, problems } = await poll.read(1000);
    expect([up, samples]).toEqual([true, []]);
    expect(problems.map(({ kind, message, metricId }) => `${metricId} ${kind}: ${message}`)).toEqual([
      'Satellite missing: "Satellite" belongs to the controller at 0x2c, and kw asks only the BMC itself',
      'Software missing: "Software" belongs to software of the machine, not to the BMC',
      'Reserved value: "Reserved": its formula is reserved (0x0c)',
      'SEL missing: "SEL" only sends events: it has no reading',
      'x missing: the BMC has no sensor "x"',
      'Inlet Temp missing: "Inlet Temp": no reading at the moment',
      'Power missing: "Power": its scanning is disabled',
      'On LUN 2 missing: "On LUN 2": completion code 0xcb, no such sensor or record',
    ]);
  });

  it('tells states as text', async () => {
    const { poll, bmc } = pollOf(['PS1 Status', 'Fan A', 'Fan B']);
    bmc.answers.set(READING, (command) => {
      const states: Record<number, number[]> = { 8: [0x03, 0x80], 9: [0x02, 0x00], 10: [0, 0] };
      return [0, Buffer.from([0, 0xc0, ...(states[numberOf(command)] as number[])])];
    });
    const { samples } = await poll.read(1000);
    expect(samples.map(({ value }) => value)).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expect(samples.map(({ series }) => series.labels)).toEqual([
      { a: 'b', value_str: 'presence detected, failure detected' },
      { a: 'b', value_str: 'redundancy lost' },
      { a: 'b', value_str: 'OK' },
    ]);
    const again = await poll.read(1000);
    expect(again.samples[0]?.series).toBe(samples[0]?.series);
  });

  it('asks a non-linear sensor for the factors of each reading, once', async () => {
    const { poll, bmc } = pollOf(['Curve']);
    let raw = 7;
    const factorsOf: number[] = [];
    bmc.answers.set(READING, () => [0, Buffer.from([raw, 0xc0])]);
    bmc.answers.set(FACTORS, ({ data }) => {
      factorsOf.push(data?.[1] as number);
      return [0, Buffer.from([raw + 1, raw, 0, 0, 0, 0, 0])];
    });
    const read = async () => (await poll.read(1000)).samples.map(({ value }) => value);
    expect([await read(), await read()]).toEqual([[49], [49]]);
    raw = 9;
    expect([await read(), factorsOf]).toEqual([[81], [7, 9]]);
    bmc.answers.set(FACTORS, () => [0xcd, Buffer.alloc(0)]);
    raw = 11;
    const { samples, problems } = await poll.read(1000);
    expect([samples, problems.map(({ message }) => message)]).toEqual([
      [],
      ['"Curve": completion code 0xcd, command illegal for this sensor'],
    ]);
  });

  it('goes on when one sensor does not answer, and asks it last from then on', async () => {
    const { poll, bmc, timeouts } = pollOf(['Inlet Temp', 'Power']);
    const order: number[] = [];
    bmc.answers.set(READING, (command) => {
      order.push(numberOf(command));
      if (numberOf(command) === 1) return new IpmiError('timeout', 'no answer from bmc:623 within 500 ms');
      return [0, Buffer.from([20, 0xc0])];
    });
    const { up, samples, problems } = await poll.read(1000);
    expect([up, samples.map(({ series }) => series.metricId)]).toEqual([true, ['Power']]);
    expect(problems).toEqual([
      {
        kind: 'timeout',
        message: '"Inlet Temp": no answer from bmc:623 within 500 ms',
        metricId: 'Inlet Temp',
      },
    ]);
    // The first may use half of the time, the last one what is left.
    expect(timeouts[0]).toBeGreaterThan(400);
    expect(timeouts[0]).toBeLessThan(500);
    expect(timeouts[1]).toBeGreaterThan(900);
    await poll.read(1000);
    expect(order).toEqual([1, 2, 2, 1]);
  });

  it('has one problem when the BMC answers nothing, and ends at an error of the session', async () => {
    const { poll, bmc, timeouts } = pollOf(['Inlet Temp', 'Power', 'On LUN 2']);
    await poll.read(1000);
    bmc.answers.set(READING, () => new IpmiError('timeout', 'no answer from bmc:623'));
    const silent = await poll.read(1000);
    expect([silent.up, silent.samples, silent.problems]).toEqual([
      false,
      [],
      [{ kind: 'timeout', message: 'no answer from bmc:623' }],
    ]);
    timeouts.length = 0;
    bmc.answers.set(READING, () => new IpmiError('auth', 'the BMC does not accept the password'));
    const refused = await poll.read(1000);
    expect(refused.problems).toEqual([{ kind: 'auth', message: 'the BMC does not accept the password' }]);
    expect(timeouts).toHaveLength(1);
  });

  it('tells how far it is while the records are being read', async () => {
    const bmc = new SdrBmc({ records: RECORDS });
    const { poll } = pollOf(['Inlet Temp'], bmc);
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const request = bmc.request.bind(bmc);
    bmc.request = async (command) => {
      if (command.netFn === 0x0a && command.command === 0x23 && command.data?.[2] === 4) await held;
      return request(command);
    };
    const first = await poll.read(60);
    expect([first.up, first.samples]).toEqual([true, []]);
    expect(first.problems).toEqual([
      { kind: 'timeout', message: 'the sensor data records of bmc:623 are being read: 3 of 10 so far' },
    ]);
    release();
    bmc.answers.set(READING, () => [0, Buffer.from([20, 0xc0])]);
    expect((await poll.read(1000)).samples).toHaveLength(1);
  });

  it('reads DCMI power without a record, and every quantity from one answer', async () => {
    const { poll, bmc } = pollOf([
      'dcmi:power',
      'dcmi:power/minimum',
      'dcmi:power/maximum',
      'dcmi:power/average',
    ]);
    const answer = Buffer.from('dcf10064004001ec00000000006400000040', 'hex');
    bmc.answers.set(POWER, () => [0, answer]);
    const { samples } = await poll.read(1000);
    expect(samples.map(({ value }) => value)).toEqual([241, 100, 320, 236]);
    expect(bmc.asked).toEqual([POWER]);
    answer[17] = 0;
    expect((await poll.read(1000)).problems[0]?.message).toBe(
      'the BMC does not measure power at the moment (DCMI)',
    );
    bmc.answers.set(POWER, () => [0xc1, Buffer.alloc(0)]);
    expect((await poll.read(1000)).problems[0]).toMatchObject({
      kind: 'missing',
      message: 'the BMC has no DCMI power reading: completion code 0xc1, invalid command',
    });
  });

  it('survives any answer to anything', async () => {
    const dice = random(31);
    const { poll, bmc } = pollOf(['Inlet Temp', 'Power', 'Curve', 'PS1 Status', 'dcmi:power']);
    await poll.read(1000);
    const codes = [0, 0, 0, 0, 0, 0, 0xcb, 0xc0, 0xd4, 0xff];
    const answer = (): [number, Buffer] => [
      codes[dice() % codes.length] as number,
      Buffer.from(Array.from({ length: dice() % 24 }, () => dice() & 0xff)),
    ];
    for (const key of [READING, FACTORS, POWER]) bmc.answers.set(key, answer);
    bmc.asked.length = 0;
    while (bmc.asked.length < 100_000) {
      const { samples, problems } = await poll.read(1000);
      expect(samples.length + problems.length).toBe(5);
      for (const { value, series } of samples)
        expect(Number.isFinite(value) || typeof series.labels.value_str === 'string').toBe(true);
    }
  }, 60_000);
});

describe('decoders of readings', () => {
  it('take the reading, what is absent, and states', () => {
    expect(decodeSensorReading(Uint8Array.of(5, 0xc0, 0xc1, 0x80))).toEqual({
      raw: 5,
      absence: undefined,
      states: 0xc1,
    });
    expect(decodeSensorReading(Uint8Array.of(5, 0x40))).toEqual({ raw: 5, absence: undefined, states: 0 });
    expect(decodeSensorReading(Uint8Array.of(5, 0xe0))?.absence).toBe('unavailable');
    expect(decodeSensorReading(Uint8Array.of(5, 0x80))?.absence).toBe('scanning disabled');
    expect(decodeSensorReading(Uint8Array.of(5))).toBeUndefined();
  });

  it('of power take the statistics, and nothing of another group', () => {
    expect(decodePowerReading(Buffer.from('dcf10064004001ec0001020304e803000040', 'hex'))).toEqual({
      currentWatts: 241,
      minimumWatts: 100,
      maximumWatts: 320,
      averageWatts: 236,
      timestampSeconds: 0x04030201,
      periodMs: 1000,
      isActive: true,
    });
    expect(decodePowerReading(Buffer.from('00f10064004001ec0001020304e803000040', 'hex'))).toBeUndefined();
    expect(decodePowerReading(Buffer.from('dcf10064004001ec0001020304e8030000', 'hex'))).toBeUndefined();
  });
});

describe('the URL of a metric', () => {
  const parse = (text: string) => ipmiDriver.parseUrl(text, { resolveSecret: (secret) => secret });

  it('names a sensor, or a quantity of DCMI', () => {
    expect(parse('ipmisensor://u:p@h/Pwr Consumption').target).toBe('Pwr Consumption');
    expect(parse('ipmisensor://u:p@h/a/b#c+d%3F').target).toBe('a/b#c+d?');
    expect(() => parse('ipmisensor://u:p@h/')).toThrow('the URL names no sensor');
    expect(() => parse('ipmisensor://u:p@h')).toThrow('the URL names no sensor');
    expect(() => parse('ipmi-dcmi://u:p@h/energy')).toThrow('DCMI has no "energy"');
  });
});
