/** Agents that lie, dawdle or break off: what a session makes of them, over real UDP. */
import { afterEach, describe, expect, test } from 'vitest';
import { ErrorStatus, Tag, tlv } from '../../../src/lib/devices/snmp/codec.ts';
import { UdpTransport } from '../../../src/lib/devices/snmp/transport.ts';
import { MAX_WALK_ROWS } from '../../../src/lib/devices/snmp/walk.ts';
import { nowUs } from '../../../src/lib/time.ts';
import {
  type AgentRequest,
  type Behaviour,
  integerAt,
  type LyingAgent,
  responseTo,
  startLyingAgent,
  textAt,
} from '../../support/lyingAgent.ts';
import { openReader, type Reader, summary } from '../../support/snmpPoll.ts';

const BASE = '1.3.6.1.4.1.99999';
const SYS_UP_TIME = '1.3.6.1.2.1.1.3.0';
const open: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of open.splice(0)) await one.stop();
});

/** An agent and one poll of `count` OIDs: BASE.1.0, BASE.2.0, ... */
async function against(
  behaviour: Behaviour,
  count = 1,
  parameters = '',
): Promise<{ agent: LyingAgent; reader: Reader }> {
  const agent = await startLyingAgent(behaviour);
  const oids = Array.from({ length: count }, (_, index) => `${BASE}.${index + 1}.0`);
  return { agent, reader: readerOf(agent, oids, parameters) };
}

function readerOf(
  agent: LyingAgent,
  oids: readonly string[],
  parameters = '',
  transport?: UdpTransport,
): Reader {
  const urls = oids.map((oid) => `snmp://public@${agent.host}:${agent.port}/${oid}${parameters}`);
  const reader = openReader(urls, transport ? { transport } : {});
  open.push({ stop: () => reader.close() }, agent);
  return reader;
}

describe('answers that are none', () => {
  test('a wrong request id is ignored and counted', async () => {
    const { reader } = await against((request, reply) =>
      reply(responseTo(request, { id: request.id ^ 0x70_0000 })),
    );
    const { up, values, problems } = summary(await reader.read(300));
    expect({ up, values }).toEqual({ up: false, values: {} });
    expect(problems.join()).toMatch(
      /protocol: answers ignored: [1-3] late, repeated or with an unknown request id/,
    );
  });

  test('the right id from another address is ignored and counted', async () => {
    const transport = new UdpTransport();
    const agent = await startLyingAgent((request, _reply, replyFromElsewhere) =>
      replyFromElsewhere(responseTo(request)),
    );
    const reader = readerOf(agent, [`${BASE}.1.0`], '', transport);
    expect((await reader.read(300)).up).toBe(false);
    expect(transport.foreign).toBeGreaterThanOrEqual(1);
  });

  test.each<[string, (request: AgentRequest) => Uint8Array]>([
    ['cut off', (request) => responseTo(request).subarray(0, -3)],
    ['with a byte too many', (request) => Buffer.concat([responseTo(request), Buffer.of(0)])],
    ['of another version', (request) => responseTo(request, { version: 0 })],
    [
      'with 2,000 varbinds',
      (request) => responseTo(request, { varbinds: Array(2000).fill(integerAt(BASE, 1)) }),
    ],
  ])('%s: ignored, tried again, a protocol problem in the end', async (_name, spoil) => {
    const { agent, reader } = await against((request, reply) => reply(spoil(request)));
    const { up, values, problems } = summary(await reader.read(300));
    expect({ up, values }).toEqual({ up: false, values: {} });
    const said = new RegExp(
      `^protocol: 127.0.0.1:${agent.port} answered [1-3] times, but with nothing that is a sound answer$`,
    );
    expect(problems).toEqual([expect.stringMatching(said)]);
  });

  test('octets that do not even begin like an answer are counted too', async () => {
    const { reader } = await against((_request, reply) => reply(Buffer.from('HTTP/1.0 400 Bad Request')));
    const { problems } = summary(await reader.read(300));
    expect(problems.some((text) => /answers ignored: [1-3] malformed/.test(text))).toBe(true);
  });

  test('a repeated answer is stored once', async () => {
    const { reader } = await against((request, reply) => {
      reply(responseTo(request));
      reply(responseTo(request));
      reply(responseTo(request, { varbinds: [integerAt(`${BASE}.1.0`, 43)] }));
    });
    expect(summary(await reader.read()).values).toEqual({ m0: 42 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(summary(await reader.read())).toEqual({
      up: true,
      values: { m0: 42 },
      problems: ['protocol: answers ignored: 2 late, repeated or with an unknown request id'],
    });
  });

  test('a datagram of 64 kB does no harm', async () => {
    const { reader } = await against((_request, reply) => reply(Buffer.alloc(65_000, 0x30)));
    expect((await reader.read(300)).up).toBe(false);
  });
});

describe('slow and lossy agents', () => {
  test('one that answers after 5 s costs its time-out, and its late answers are ignored', async () => {
    const { agent, reader } = await against((request, reply) => reply(responseTo(request), 5000));
    const startMs = performance.now();
    const { up, problems } = summary(await reader.read(400));
    expect(performance.now() - startMs).toBeLessThan(1500);
    expect(up).toBe(false);
    expect(problems[0]).toMatch(/^timeout: no answer from 127.0.0.1:\d+ within \d+ ms \([1-3] attempts/);
    expect(agent.requests.length).toBeGreaterThanOrEqual(2);
  });

  test('a lost request is sent again with a new id, and the time is that of the answered attempt', async () => {
    let heard = 0;
    const { agent, reader } = await against((request, reply) => {
      if (++heard > 1) reply(responseTo(request));
    });
    const startUs = nowUs();
    const result = await reader.read(900);
    expect(summary(result)).toEqual({ up: true, values: { m0: 42 }, problems: [] });
    // The second attempt goes out after 300 ms; the middle between the first one and the answer would be 150.
    expect(result.timestampUs - startUs).toBeGreaterThan(290_000);
    expect(agent.requests[1]?.id).not.toBe(agent.requests[0]?.id);
  });

  test('one that is slower than a retry is still read, with the time of the attempt that it answered', async () => {
    let heard = 0;
    const { reader } = await against((request, reply) => {
      if (++heard === 1) reply(responseTo(request), 1_000);
    });
    const startUs = nowUs();
    const result = await reader.read(1_800);
    expect(result.up).toBe(true);
    // Half of 1,000 ms after the first attempt; of the second, which left after 600 ms, it would be 800.
    expect(result.timestampUs - startUs).toBeGreaterThan(490_000);
    expect(result.timestampUs - startUs).toBeLessThan(750_000);
  });

  test('closing the session ends a read that is under way', async () => {
    const { reader } = await against(() => {});
    const reading = reader.read(10_000);
    await reader.close();
    expect(summary(await reading)).toEqual({
      up: false,
      values: {},
      problems: ['timeout: the session was closed'],
    });
  });
});

describe('wrong contents', () => {
  test('another OID than was asked for is refused, the others are kept', async () => {
    const { reader } = await against(
      (request, reply) =>
        reply(responseTo(request, { varbinds: [integerAt(`${BASE}.1.0`, 1), integerAt(`${BASE}.9.0`, 2)] })),
      2,
    );
    expect(summary(await reader.read())).toEqual({
      up: true,
      values: { m0: 1 },
      problems: [`protocol: asked for ${BASE}.2.0, the agent answered ${BASE}.9.0`],
    });
  });

  test('values in the wrong order are never taken for one another', async () => {
    const { reader } = await against(
      (request, reply) =>
        reply(responseTo(request, { varbinds: [...request.oids].reverse().map((oid) => integerAt(oid, 1)) })),
      2,
    );
    const { values, problems } = summary(await reader.read());
    expect(values).toEqual({});
    expect(problems).toHaveLength(2);
  });

  test('fewer values than were asked for', async () => {
    const { reader } = await against((request, reply) => reply(responseTo(request, { varbinds: [] })), 2);
    expect(summary(await reader.read())).toEqual({
      up: true,
      values: {},
      problems: ['protocol: the agent answered 0 values instead of 2'],
    });
  });

  test('wrong types, broken numbers, texts that are too long', async () => {
    const { reader } = await against(
      (request, reply) =>
        reply(
          responseTo(request, {
            varbinds: [
              { oid: `${BASE}.1.0`, tag: Tag.integer, content: Buffer.alloc(5) },
              { oid: `${BASE}.2.0`, tag: Tag.counter64, content: Buffer.alloc(0) },
              { oid: `${BASE}.3.0`, tag: 0x77, content: Buffer.alloc(1) },
              textAt(`${BASE}.4.0`, 'x'.repeat(2000)),
              textAt(`${BASE}.5.0`, '12 W'),
              { oid: `${BASE}.6.0`, tag: Tag.null, content: Buffer.alloc(0) },
              textAt(`${BASE}.7.0`, 'a"\\\n☀'),
            ],
          }),
        ),
      7,
    );
    expect(summary(await reader.read())).toEqual({
      up: true,
      values: { m4: '12 W', m6: 'a"\\\n☀' },
      problems: [
        `value: ${BASE}.1.0: INTEGER of 5 octets is not a value`,
        `value: ${BASE}.2.0: Counter64 of 0 octets is not a value`,
        `value: ${BASE}.3.0: type 0x77 of 1 octets is not a value`,
        `limit: ${BASE}.4.0: the labels have 2016 bytes as JSON, and at most 1024 can be stored`,
        `missing: ${BASE}.6.0: NULL`,
      ],
    });
  });

  test('ever new texts do not fill the memory with series', async () => {
    let heard = 0;
    const { reader } = await against((request, reply) =>
      reply(responseTo(request, { varbinds: [textAt(`${BASE}.1.0`, `state ${heard++}`)] })),
    );
    const seen = new Set<unknown>();
    for (let poll = 0; poll < 100; poll++)
      for (const { series } of (await reader.read()).samples) seen.add(series);
    expect(seen.size).toBe(100);
    expect(reader.poll.rememberedTexts).toBeLessThanOrEqual(16);
  });
});

describe('refused requests', () => {
  test('tooBig halves the PDU until it fits, and the session remembers the size', async () => {
    const { agent, reader } = await against((request, reply) => {
      if (request.oids.length <= 5) reply(responseTo(request));
      else reply(responseTo(request, { errorStatus: ErrorStatus.tooBig, varbinds: [] }));
    }, 24);
    const first = summary(await reader.read());
    expect(Object.keys(first.values)).toHaveLength(24);
    expect(first.problems).toEqual([]);
    const before = agent.requests.length;
    const second = summary(await reader.read());
    expect(Object.keys(second.values)).toHaveLength(24);
    const sizes = agent.requests.slice(before).map(({ oids }) => oids.length);
    expect(sizes).toEqual([3, 3, 3, 3, 3, 3, 3, 3]);
  });

  test('tooBig for a single OID is a problem, not a loop', async () => {
    const { agent, reader } = await against(
      (request, reply) => reply(responseTo(request, { errorStatus: ErrorStatus.tooBig, varbinds: [] })),
      4,
    );
    const { values, problems } = summary(await reader.read());
    expect(values).toEqual({});
    expect(problems).toHaveLength(4);
    expect(problems[0]).toBe('limit: the agent refused a request for 1 OIDs: tooBig');
    expect(agent.requests.length).toBeLessThan(10);
  });

  test.each([
    ['v1', '?version=1'],
    ['v2c', ''],
  ])('an error for one varbind in %s costs only that one', async (_name, parameters) => {
    const { agent, reader } = await against(
      (request, reply) => {
        const bad = request.oids.indexOf(`${BASE}.3.0`);
        if (bad < 0) reply(responseTo(request));
        else reply(responseTo(request, { errorStatus: 5, errorIndex: bad + 1 }));
      },
      5,
      parameters,
    );
    for (let poll = 0; poll < 2; poll++)
      expect(summary(await reader.read())).toEqual({
        up: true,
        values: { m0: 42, m1: 42, m3: 42, m4: 42 },
        problems: [`protocol: ${BASE}.3.0: the agent answers genErr`],
      });
    // The second poll knew better than to ask for it.
    expect(agent.requests.map(({ oids }) => oids.length)).toEqual([5, 4, 4]);
  });

  test('an error for no varbind in particular', async () => {
    const { reader } = await against(
      (request, reply) => reply(responseTo(request, { errorStatus: 5, errorIndex: 0 })),
      2,
    );
    expect(summary(await reader.read())).toEqual({
      up: true,
      values: {},
      problems: ['protocol: the agent refused a request for 2 OIDs: genErr'],
    });
  });

  test('error indexes beyond the varbinds, for ever: the read ends', async () => {
    const { agent, reader } = await against(
      (request, reply) => reply(responseTo(request, { errorStatus: 2, errorIndex: 99 })),
      3,
    );
    await reader.read();
    expect(agent.requests.length).toBe(1);
  });
});

describe('walks', () => {
  const TEMPLATE = `${BASE}.2.{{ ${BASE}.1 == wanted }}`;

  /** Answers walks by `rows`, GETs with 42. */
  function table(rows: (request: AgentRequest, index: number) => ReturnType<typeof textAt>): Behaviour {
    return (request, reply) => {
      if (request.tag === Tag.getRequest) reply(responseTo(request));
      else {
        const count = request.tag === Tag.getBulkRequest ? request.maxRepetitions : 1;
        reply(
          responseTo(request, {
            varbinds: Array.from({ length: count }, (_, index) => rows(request, index)),
          }),
        );
      }
    };
  }
  const lastNumber = (oid: string) => (oid === `${BASE}.1` ? 0 : Number(oid.slice(oid.lastIndexOf('.') + 1)));

  test('an endless table ends at a bound', async () => {
    const agent = await startLyingAgent(
      table((request, index) => textAt(`${BASE}.1.${lastNumber(request.oids[0] ?? '') + 1 + index}`, 'x')),
    );
    const reader = readerOf(agent, [TEMPLATE]);
    const { problems } = summary(await reader.read(20_000));
    expect(problems).toEqual([`limit: the walk of ${BASE}.1: more than ${MAX_WALK_ROWS} rows`]);
    expect(agent.requests.length).toBeLessThan(MAX_WALK_ROWS / 20);
  });

  test.each<[string, (request: AgentRequest, index: number) => string]>([
    ['stands still', () => `${BASE}.1.5`],
    ['goes round in a circle', (_request, index) => `${BASE}.1.${1 + (index % 3)}`],
    ['goes back', (_request, index) => `${BASE}.1.${1000 - index}`],
  ])('an agent that %s', async (_name, oid) => {
    const agent = await startLyingAgent(table((request, index) => textAt(oid(request, index), 'x')));
    const reader = readerOf(agent, [TEMPLATE]);
    const { problems } = summary(await reader.read());
    expect(problems).toEqual([`protocol: the walk of ${BASE}.1: the OID does not increase`]);
    expect(agent.requests).toHaveLength(1);
  });

  test('a failed walk is not tried again at each poll', async () => {
    const agent = await startLyingAgent(table(() => textAt(`${BASE}.1.5`, 'x')));
    const reader = readerOf(agent, [TEMPLATE]);
    for (let poll = 0; poll < 10; poll++) await reader.read();
    expect(reader.session.templates.walks).toBe(1);
  });

  test('tooBig makes GETBULK ask for less', async () => {
    const agent = await startLyingAgent((request, reply) => {
      if (request.tag === Tag.getBulkRequest && request.maxRepetitions > 6)
        reply(responseTo(request, { errorStatus: ErrorStatus.tooBig, varbinds: [] }));
      else
        table((asked, index) => {
          const number = lastNumber(asked.oids[0] ?? '') + 1 + index;
          return number > 20
            ? textAt(`${BASE}.2.1`, 'x')
            : textAt(`${BASE}.1.${number}`, number === 17 ? 'wanted' : 'x');
        })(request, reply, () => {});
    });
    const reader = readerOf(agent, [TEMPLATE]);
    expect(summary(await reader.read())).toEqual({ up: true, values: { m0: 42 }, problems: [] });
    expect(agent.requests.at(-1)?.oids).toEqual([SYS_UP_TIME, `${BASE}.2.17`]);
  });

  test('an instance that is gone is looked for again, in the same read', async () => {
    let row = 4;
    const agent = await startLyingAgent((request, reply) => {
      if (request.tag === Tag.getBulkRequest) {
        const last = lastNumber(request.oids[0] ?? '');
        const rows = last < row ? [textAt(`${BASE}.1.${row}`, 'wanted')] : [textAt(`${BASE}.2.1`, 'end')];
        reply(responseTo(request, { varbinds: rows }));
        return;
      }
      const varbinds = request.oids.map((oid) =>
        oid === SYS_UP_TIME || oid === `${BASE}.2.${row}`
          ? integerAt(oid, row)
          : { oid, tag: Tag.noSuchInstance, content: Buffer.alloc(0) },
      );
      reply(responseTo(request, { varbinds }));
    });
    const reader = readerOf(agent, [TEMPLATE]);
    expect(summary(await reader.read()).values).toEqual({ m0: 4 });
    row = 9;
    expect(summary(await reader.read())).toEqual({ up: true, values: { m0: 9 }, problems: [] });
    expect(reader.session.templates.walks).toBe(2);
  });

  test('a row whose value is never there does not cause a walk at each poll', async () => {
    const agent = await startLyingAgent((request, reply) => {
      if (request.tag === Tag.getBulkRequest) {
        const done = lastNumber(request.oids[0] ?? '') >= 4;
        reply(
          responseTo(request, {
            varbinds: [done ? textAt(`${BASE}.2.1`, 'end') : textAt(`${BASE}.1.4`, 'wanted')],
          }),
        );
      } else {
        const varbinds = request.oids.map((oid) => ({
          oid,
          tag: Tag.noSuchInstance,
          content: Buffer.alloc(0),
        }));
        reply(responseTo(request, { varbinds }));
      }
    });
    const reader = readerOf(agent, [TEMPLATE]);
    for (let poll = 0; poll < 20; poll++) expect((await reader.read()).samples).toEqual([]);
    expect(reader.session.templates.walks).toBeLessThanOrEqual(2);
  });

  test('a slow walk holds up a poll once, and never the other metrics', async () => {
    const agent = await startLyingAgent((request, reply) => {
      if (request.tag === Tag.getRequest) reply(responseTo(request));
    });
    const reader = readerOf(agent, [TEMPLATE, `${BASE}.7.0`]);
    expect(summary(await reader.read(2_000)).values).toEqual({ m1: 42 });
    const startMs = performance.now();
    expect(summary(await reader.read(2_000))).toEqual({
      up: true,
      values: { m1: 42 },
      problems: [`missing: {{ ${BASE}.1 == wanted }} is not resolved yet`],
    });
    // It does not wait for the walk again, which would be half of its time.
    expect(performance.now() - startMs).toBeLessThan(900);
  });

  test('an agent whose clock goes back at each poll is not walked at each poll', async () => {
    let ticks = 1_000_000;
    const agent = await startLyingAgent((request, reply) => {
      if (request.tag === Tag.getBulkRequest) {
        const done = lastNumber(request.oids[0] ?? '') >= 4;
        reply(
          responseTo(request, {
            varbinds: [done ? textAt(`${BASE}.2.1`, 'end') : textAt(`${BASE}.1.4`, 'wanted')],
          }),
        );
        return;
      }
      ticks -= 100;
      const varbinds = request.oids.map((oid) =>
        oid === SYS_UP_TIME
          ? { oid, tag: Tag.timeTicks, content: Buffer.of(ticks >> 16, (ticks >> 8) & 255, ticks & 255) }
          : integerAt(oid, 42),
      );
      reply(responseTo(request, { varbinds }));
    });
    const reader = readerOf(agent, [TEMPLATE]);
    for (let poll = 0; poll < 20; poll++) await reader.read();
    expect(reader.session.templates.walks).toBeLessThanOrEqual(2);
  });
});

describe('many sessions', () => {
  test('an agent that never answers costs the others nothing', async () => {
    const silent = await startLyingAgent(() => {});
    const good = await startLyingAgent((request, reply) => reply(responseTo(request)));
    const dead = Array.from({ length: 50 }, () => readerOf(silent, [`${BASE}.1.0`]));
    const reader = readerOf(good, [`${BASE}.1.0`]);
    const waiting = dead.map((one) => one.read(2_000));
    let ended = 0;
    for (const one of waiting) one.then(() => ended++);
    for (let poll = 0; poll < 20; poll++) expect((await reader.read()).up).toBe(true);
    expect(ended).toBe(0);
    for (const result of await Promise.all(waiting)) expect(result.up).toBe(false);
  });

  test('sessions of different communities on one address get their own answers', async () => {
    const agent = await startLyingAgent((request, reply) =>
      reply(
        responseTo(request, { varbinds: [textAt(request.oids[0] ?? '', request.community)] }),
        Math.random() * 20,
      ),
    );
    const readers = Array.from({ length: 20 }, (_, index) =>
      openReader([`snmp://c${index}@${agent.host}:${agent.port}/${BASE}.1.0`]),
    );
    const results = await Promise.all(readers.map((one) => one.read()));
    expect(results.map((result) => summary(result).values.m0)).toEqual(
      readers.map((_, index) => `c${index}`),
    );
    for (const one of readers) await one.close();
    await agent.stop();
  });
});

test('random octets from the device under every request: only its own polls fail', async () => {
  let seed = 7;
  const next = () => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return seed >>> 8;
  };
  const { reader } = await against((request, reply) => {
    const good = responseTo(request);
    for (let times = 0; times < 50; times++) {
      const bad = Buffer.from(good);
      for (let flips = 1 + (next() % 6); flips > 0; flips--) bad[next() % bad.length] = next() & 255;
      reply(bad);
    }
    reply(tlv(Tag.sequence));
  });
  for (let poll = 0; poll < 200; poll++) await reader.read(50);
  const { problems } = await reader.read(50);
  expect(problems.length).toBeLessThan(10);
});
