/** What can go wrong between kw and a BMC: each has its own sentence, and none needs anybody to mend it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { IpmiError } from '../../../../src/lib/devices/ipmi/errors.ts';
import type { IpmiSession } from '../../../../src/lib/devices/ipmi/session.ts';
import {
  failureOf,
  GET_DEVICE_ID,
  getSensorReading,
  type SessionOptions,
  sessionWith,
} from '../../../support/ipmiSession.ts';
import { hasIpmiSim, startBmc } from '../../../support/ipmiSim.ts';
import { skipUnless } from '../../../support/skip.ts';
import {
  type Answer,
  type CommandHandler,
  flipped,
  type Outgoing,
  startTestBmc,
  type TestBmc,
  type TestBmcOptions,
  USERS,
} from '../../../support/testBmc.ts';

/** Refused BMCs are asked again soon. */
const SOON = { backOffMs: 100, maxBackOffMs: 200, authBackOffMs: 100, maxAuthBackOffMs: 200 };
/** Packets of an opening: capabilities, suites, Open Session, RAKP 1, RAKP 3, Set Session Privilege Level. */
const OPENING = 6;

/** Sensor n has the raw value n: an answer to another question shows. */
const echo: CommandHandler = ({ netFn, command, data }) => {
  if (netFn === 4 && command === 0x2d) return { code: 0, data: [data[0] as number, 0xc0, 0] };
  return { code: 0, data: [1, 2, 3] };
};

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(ends.splice(0).map((end) => end()));
});

async function pair(
  options: TestBmcOptions = {},
  sessionOptions: SessionOptions = {},
): Promise<{ bmc: TestBmc; session: IpmiSession }> {
  const bmc = await startTestBmc({ handle: echo, ...options });
  const session = sessionWith(bmc, { ...SOON, ...sessionOptions });
  ends.push(async () => {
    await session.close();
    await bmc.stop();
  });
  return { bmc, session };
}

async function read(session: IpmiSession, sensor: number, timeoutMs = 8_000): Promise<number | undefined> {
  const { completionCode, data } = await session.request(getSensorReading(sensor), timeoutMs);
  expect(completionCode).toBe(0);
  return data[0];
}

/** Asks each 50 ms until it is answered. Returns the sentences until then, each once. */
async function untilAnswered(session: IpmiSession, forMs = 15_000): Promise<string[]> {
  const sentences = new Set<string>();
  const endMs = performance.now() + forMs;
  while (performance.now() < endMs) {
    try {
      expect(await read(session, 5, 400)).toBe(5);
      return [...sentences];
    } catch (error) {
      if (!(error instanceof IpmiError)) throw error;
      sentences.add(`${error.kind}: ${error.message.replace(/:\d{4,5}/, ':PORT').replace(/\d+ ms/, 'N ms')}`);
      await sleep(50);
    }
  }
  throw new Error(`never answered: ${[...sentences].join('; ')}`);
}

describe('a BMC that dies between any two messages', () => {
  const places = Array.from({ length: OPENING + 4 }, (_, count) => count);

  test('is silent in one sentence, and read again when it is back, whenever it died', async () => {
    await Promise.all(
      places.map(async (count) => {
        const { bmc, session } = await pair();
        bmc.dieAfter(count);
        for (let sensor = 1; bmc.received.length < count; sensor++) {
          const isBefore = await read(session, sensor, 400).then(
            (raw) => raw === sensor,
            () => false,
          );
          if (!isBefore) break;
        }
        // Dead now: every poll says so, in bounded time.
        for (let poll = 0; poll < 3; poll++) {
          const startMs = performance.now();
          expect(await failureOf(session.request(getSensorReading(1), 300))).toMatch(
            /^timeout: no answer from 127\.0\.0\.1:\d+ /,
          );
          expect(performance.now() - startMs).toBeLessThan(1_000);
        }
        bmc.revive();
        await untilAnswered(session);
        expect(bmc.active).toBe(1);
        expect(bmc.mostActive).toBe(1);
      }),
    );
  });
});

describe('a datagram of the BMC', () => {
  const twice: (answer: Answer) => Outgoing[] = ({ datagram }) => [{ datagram }, { datagram, delayMs: 5 }];
  const faults: [string, (answer: Answer) => Outgoing[]][] = [
    ['lost', () => []],
    ['doubled', twice],
    ['late', ({ datagram }) => [{ datagram, delayMs: 700 }]],
    ['damaged in its last octet', ({ datagram }) => [{ datagram: flipped(datagram, 3) }]],
    ['damaged in the middle', ({ datagram }) => [{ datagram: flipped(datagram, datagram.length * 4) }]],
    ['cut', ({ datagram }) => [{ datagram: datagram.subarray(0, datagram.length - 1) }]],
  ];
  test.each(faults)('that is %s costs no reading, whichever it is', async (_name, fault) => {
    await Promise.all(
      Array.from({ length: OPENING + 3 }, async (_, place) => {
        const { bmc, session } = await pair();
        bmc.onAnswer = (answer) => (answer.index === place ? fault(answer) : [answer]);
        for (const sensor of [1, 2, 3, 4]) expect(await read(session, sensor)).toBe(sensor);
        expect(bmc.active).toBe(1);
      }),
    );
  });

  test('to the BMC may get lost, whichever it is', async () => {
    await Promise.all(
      Array.from({ length: OPENING + 3 }, async (_, place) => {
        const { bmc, session } = await pair();
        bmc.onRequest = (_name, index) => index !== place;
        for (const sensor of [1, 2, 3, 4]) expect(await read(session, sensor)).toBe(sensor);
        expect(bmc.active).toBe(1);
      }),
    );
  });

  test('is counted once when all of them come twice and in disorder', async () => {
    const { bmc, session } = await pair();
    let held: Buffer | undefined;
    bmc.onAnswer = ({ datagram }) => {
      const before = held;
      held = datagram;
      return [
        { datagram },
        { datagram },
        ...(before ? [{ datagram: before }, { datagram: before, delayMs: 2 }] : []),
      ];
    };
    for (let sensor = 1; sensor < 200; sensor++) expect(await read(session, sensor)).toBe(sensor);
    expect(bmc.dropped).toEqual([]);
  });

  test('of an earlier session is not taken in a later one', async () => {
    const { bmc, session } = await pair();
    const recorded: Buffer[] = [];
    bmc.onAnswer = ({ datagram }) => {
      recorded.push(datagram);
      return [{ datagram }];
    };
    expect(await read(session, 9)).toBe(9);
    await session.close();
    const later = sessionWith(bmc, SOON);
    bmc.options = { ...bmc.options, handle: () => ({ code: 0, data: [77, 0xc0, 0] }) };
    bmc.onAnswer = ({ datagram }) => [...recorded.map((old) => ({ datagram: old })), { datagram }];
    expect(await read(later, 9)).toBe(77);
    await later.close();
  });
});

describe('one BMC', () => {
  test('has one session and one request in flight, whoever asks', async () => {
    const { bmc, session } = await pair();
    const others = [
      sessionWith(bmc),
      sessionWith(bmc, { user: 'kwoll', password: 'kwpass' }),
      sessionWith(bmc, { query: 'cipher=3' }),
      sessionWith({ address: 'localhost', port: bmc.port }),
    ];
    let inFlight = 0;
    let most = 0;
    bmc.onRequest = () => {
      inFlight++;
      most = Math.max(most, inFlight);
      return true;
    };
    bmc.onAnswer = ({ datagram }) => {
      inFlight--;
      return [{ datagram, delayMs: 1 }];
    };
    const all = [session, ...others].flatMap((one, index) =>
      [1, 2, 3].map((sensor) => read(one, index * 10 + sensor).then((raw) => raw === index * 10 + sensor)),
    );
    expect(await Promise.all(all)).toEqual(all.map(() => true));
    // And when the session is open already.
    await read(session, 1);
    const sensors = [11, 12, 13, 14, 15];
    expect(await Promise.all(sensors.map((sensor) => read(session, sensor)))).toEqual(sensors);
    expect(most).toBe(1);
    expect(bmc.mostActive).toBe(1);
    await Promise.all(others.map((one) => one.close()));
    expect(bmc.active).toBe(1);
    await session.close();
    expect(bmc.active).toBe(0);
  });

  test('has no second session while the first is being closed', async () => {
    const { bmc, session } = await pair();
    await read(session, 1);
    // The first Close Session gets lost: until the second the session lives on.
    let lost = 0;
    bmc.onRequest = (name) => name !== '06.3c' || lost++ > 0;
    const closed = session.close();
    const next = sessionWith(bmc);
    expect(await read(next, 2)).toBe(2);
    await closed;
    await next.close();
    expect(bmc.mostActive).toBe(1);
    expect(bmc.active).toBe(0);
  });

  test('ends at once when it is closed while it is being opened, wherever that is', async () => {
    await Promise.all(
      Array.from({ length: OPENING + 1 }, async (_, count) => {
        const { bmc, session } = await pair();
        bmc.dieAfter(count);
        const failure = failureOf(session.request(getSensorReading(1), 8_000));
        await sleep(100);
        const startMs = performance.now();
        await session.close();
        expect(performance.now() - startMs).toBeLessThan(900);
        expect(await failure).toBe('timeout: the session was closed');
      }),
    );
  });

  test('keeps its session while nobody asks, until nobody has asked for long', async () => {
    const { bmc, session } = await pair({}, { keepAliveMs: 100, unusedMs: 450 });
    await read(session, 1);
    await sleep(380);
    expect(bmc.active).toBe(1);
    const kept = bmc.received.filter((name) => name === '06.01').length;
    expect(kept).toBeGreaterThanOrEqual(2);
    expect(kept).toBeLessThanOrEqual(4);
    await sleep(600);
    expect(bmc.active).toBe(0);
    expect(bmc.received.at(-1)).toBe('06.3c');
    expect(await read(session, 2)).toBe(2);
    expect(bmc.mostActive).toBe(1);
  });

  test('that is busy is asked again', async () => {
    let times = 0;
    const { session } = await pair({
      handle: (command) => (command.netFn === 4 && times++ < 2 ? { code: 0xc0 } : echo(command)),
    });
    expect(await read(session, 3, 2_000)).toBe(3);
    expect(times).toBe(3);
  });
});

describe('a login', () => {
  const refusals: [string, TestBmcOptions, SessionOptions, string][] = [
    ['with a wrong password', {}, { password: 'no secret' }, 'auth: wrong password for the user "root"'],
    ['of an unknown user', {}, { user: 'nobody' }, 'auth: the BMC does not know the user "nobody"'],
    ['without a name', {}, { user: '', password: '' }, 'auth: the BMC does not know the user without a name'],
    [
      'above the privilege of the user',
      {},
      { user: 'kwoll', password: 'kwpass', query: 'privilege=operator' },
      'auth: the user "kwoll" may not log in with the privilege operator',
    ],
    [
      'while the session table is full',
      { maxSessions: 0 },
      {},
      'refused: the BMC has no free session: its session table is full',
    ],
    [
      'with a suite that the BMC has not',
      { suites: [3] },
      { query: 'cipher=17' },
      'protocol: the BMC does not support cipher suite 17 (HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128)',
    ],
    [
      'at a BMC without a suite that kw speaks',
      { suites: [] },
      {},
      'protocol: the BMC does not support cipher suite 3 (HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128)',
    ],
    [
      'at a BMC of IPMI 1.5',
      { isOld: true },
      {},
      'protocol: the BMC speaks IPMI 1.5 only, and kw needs IPMI 2.0',
    ],
    [
      'with a wrong K_g',
      { kg: 'one' },
      { query: 'kg=two' },
      'auth: wrong K_g key: the BMC has another one or none',
    ],
    ['without the K_g', { kg: 'one' }, {}, 'auth: the BMC has a K_g key, which must be given (kg)'],
  ];
  test.each(refusals)('%s is refused in one sentence, and tried again by itself', async (...refusal) => {
    const [, bmcOptions, sessionOptions, sentence] = refusal;
    const { bmc, session } = await pair(bmcOptions, sessionOptions);
    expect(await failureOf(session.request(GET_DEVICE_ID, 5_000))).toBe(sentence);
    // In the back-off the BMC hears nothing, and the sentence stays.
    const count = bmc.received.length;
    expect(await failureOf(session.request(GET_DEVICE_ID, 5_000))).toBe(sentence);
    expect(bmc.received.length).toBe(count);
    // Somebody mends it on the BMC.
    const { user = 'root', password = 'calvin', query = '' } = sessionOptions;
    const kg = /kg=(\w+)/.exec(query)?.[1];
    const mended: TestBmcOptions = {
      handle: echo,
      users: [...USERS, { name: user, password, privilege: 4 }],
    };
    bmc.revive();
    bmc.options = {
      ...mended,
      users: [{ name: user, password, privilege: 4 }],
      ...(kg !== undefined && { kg }),
    };
    await untilAnswered(session);
  });

  test('is not tried more often than the back-off allows, which doubles', async () => {
    const { bmc, session } = await pair(
      {},
      { password: 'wrong', authBackOffMs: 200, maxAuthBackOffMs: 10_000 },
    );
    const endMs = performance.now() + 1_300;
    while (performance.now() < endMs) {
      await failureOf(session.request(GET_DEVICE_ID, 500));
      await sleep(10);
    }
    // At 0, 200 and 600 ms; the next would be at 1400.
    expect(bmc.received.filter((name) => name === 'open').length).toBe(3);
  });

  test.each([
    ['of 16 octets', 'sixteen letters!', {}],
    ['of 17 octets', 'seventeen letters', {}],
    ['of 20 octets', 'twenty letters, yes!', {}],
    ['of 20 octets where the BMC stores 16', 'twenty letters, yes!', { shortPasswords: true }],
    ['of 16 octets where the BMC stores 16', 'sixteen letters!', { shortPasswords: true }],
    ['of none', '', {}],
  ])('with a password %s', async (_name, password, options) => {
    const users = [{ name: 'root', password, privilege: 4 }];
    const { session } = await pair({ ...options, users }, { password });
    expect(await read(session, 1)).toBe(1);
  });

  test.each([
    ['answers the opening with another privilege', { openPrivilege: 0 }, 17],
    ['answers the opening with a higher privilege', { openPrivilege: 5 }, 17],
    ['lists no suites', { listsSuites: false }, 17],
    ['lists no suites and has only 3', { listsSuites: false, suites: [3] }, 3],
    ['has only 3', { suites: [3] }, 3],
  ])('at a BMC that %s', async (_name, options, suite) => {
    const { bmc, session } = await pair(options);
    expect(await read(session, 1)).toBe(1);
    expect(session.describe()[1]?.text).toMatch(`cipher suite ${suite} `);
    expect(bmc.dropped).toEqual([]);
  });

  test('tells no secret, whatever happens', async () => {
    const texts: string[] = [];
    const trace = ({ text }: { text: string }) => texts.push(text);
    for (const [, bmcOptions, sessionOptions] of refusals) {
      const secrets = { password: 'pa55w0rd-secret', query: 'kg=k9-secret' };
      const { session } = await pair(bmcOptions, { ...sessionOptions, ...secrets, trace });
      texts.push(await failureOf(session.request(GET_DEVICE_ID, 5_000)));
      texts.push(JSON.stringify(session.describe()));
    }
    expect(texts.length).toBeGreaterThan(20);
    expect(texts.join('\n')).not.toMatch(/secret|calvin/);
  });
});

describe.skipIf(skipUnless('ipmi_sim', hasIpmiSim))('ipmi_sim', () => {
  test('is read again after a restart, and keeps its session over a pause', async () => {
    const sim = await startBmc();
    ends.push(() => sim.stop());
    const steps: string[] = [];
    const session = sessionWith(sim, { ...SOON, trace: ({ step }) => steps.push(step) });
    ends.unshift(() => session.close());
    const device = () => session.request(GET_DEVICE_ID, 500);
    const untilRead = async () => {
      for (let poll = 0; poll < 40; poll++) {
        try {
          return await device();
        } catch {
          await sleep(50);
        }
      }
      throw new Error('never read again');
    };
    await device();
    const opened = steps.filter((step) => step === 'authenticate').length;

    sim.pause();
    expect(await failureOf(device())).toMatch(/^timeout: no answer from /);
    expect(await failureOf(device())).toMatch(/^timeout: no answer from /);
    sim.resume();
    await untilRead();
    expect(steps.filter((step) => step === 'authenticate').length).toBe(opened);

    await sim.kill();
    expect(await failureOf(device())).toMatch(/^refused: .*nothing listens there$/);
    await sim.restart();
    await untilRead();
    expect(steps.filter((step) => step === 'authenticate').length).toBe(2 * opened);
  });
});
