import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { skipUnless } from '../../support/skip.ts';
import {
  IDRAC_WATT,
  OUTLET_NAME,
  OUTLET_WATT,
  OUTLETS,
  type Snmpd,
  snmpdPath,
  startSnmpd,
  VALUES,
} from '../../support/snmpd.ts';
import { openReader, summary } from '../../support/snmpPoll.ts';

const IF_NAME = '1.3.6.1.2.1.31.1.1.1.1';
const IF_HC_IN_OCTETS = '1.3.6.1.2.1.31.1.1.1.6';
const IF_IN_OCTETS = '1.3.6.1.2.1.2.2.1.10';
const LOAD_FLOAT = '1.3.6.1.4.1.2021.10.1.6.1';
const SYS_NAME = '1.3.6.1.2.1.1.5.0';

describe.skipIf(skipUnless('snmpd', snmpdPath !== undefined))('a real agent', () => {
  let agent: Snmpd;
  let at: string;
  beforeAll(async () => {
    agent = await startSnmpd({ firstAddress: '127.0.0.1', addresses: 3, ipv6: true });
    at = `${agent.addresses[0]}:${agent.port}`;
  });
  afterAll(() => agent?.stop());

  async function readOnce(...urls: string[]) {
    const reader = openReader(urls);
    try {
      return summary(await reader.read(2000));
    } finally {
      await reader.close();
    }
  }

  describe.each(['1', '2c'])('SNMP v%s', (version) => {
    test('reads all outlets of a PDU in one request', async () => {
      const urls = Array.from(
        { length: OUTLETS },
        (_, index) => `snmp://public@${at}/${OUTLET_WATT}.${index + 1}?version=${version}`,
      );
      const { values, problems, up } = await readOnce(...urls);
      expect(up).toBe(true);
      expect(problems).toEqual([]);
      expect(Object.values(values)).toEqual(Array.from({ length: OUTLETS }, (_, index) => 151 + index));
    });

    test('reads each type of value', async () => {
      const oids = [
        VALUES.counter32,
        VALUES.gauge32,
        VALUES.text,
        VALUES.negative,
        VALUES.numberText,
        VALUES.ticks,
        SYS_NAME,
      ];
      const { values, problems } = await readOnce(
        ...oids.map((oid) => `snmp://public@${at}/${oid}?version=${version}`),
      );
      expect(problems).toEqual([]);
      expect(values).toEqual({
        m0: 4000000001,
        m1: 4000000000,
        m2: 'hello',
        m3: -40,
        m4: 230.5,
        m5: 4200000000,
        m6: 'kw-test',
      });
    });

    test('misses what the agent has not, and reads the rest', async () => {
      const { values, problems } = await readOnce(
        `snmp://public@${at}/${IDRAC_WATT}?version=${version}`,
        `snmp://public@${at}/${VALUES.none}?version=${version}`,
        `snmp://public@${at}/${VALUES.notAvailable}?version=${version}`,
        `snmp://public@${at}/${OUTLET_WATT}.24?version=${version}`,
      );
      expect(values).toEqual({ m0: 238, m3: 174 });
      const absent = version === '1' ? 'the agent answers noSuchName' : 'noSuchObject';
      expect(problems.toSorted()).toEqual([
        `missing: ${VALUES.notAvailable}: "N/A"`,
        `missing: ${VALUES.none}: ${absent}`,
      ]);
    });

    test('resolves templates', async () => {
      const { values, problems } = await readOnce(
        `snmp://public@${at}/${OUTLET_WATT}.{{ ${OUTLET_NAME} == outlet7 }}?version=${version}`,
        `snmp://public@${at}/${OUTLET_WATT}.{{ ${OUTLET_NAME} == outlet24 }}?version=${version}`,
        `snmp://public@${at}/${OUTLET_WATT}.{{ ${OUTLET_NAME} == outlet25 }}?version=${version}`,
      );
      expect(values).toEqual({ m0: 157, m1: 174 });
      expect(problems).toEqual([`missing: {{ ${OUTLET_NAME} == outlet25 }}: no row has this value`]);
    });
  });

  test('v1 asks again for a missing OID only after a while', async () => {
    const reader = openReader([
      `snmp://public@${at}/${VALUES.none}?version=1`,
      `snmp://public@${at}/${IDRAC_WATT}?version=1`,
    ]);
    await reader.read();
    const second = await reader.read();
    expect(summary(second)).toEqual({
      up: true,
      values: { m1: 238 },
      problems: [`missing: ${VALUES.none}: the agent answers noSuchName`],
    });
    expect(reader.poll.requests).toBe(3);
    await reader.close();
  });

  test('reads a Counter64 of ifXTable through the name of the interface', async () => {
    const { values, problems } = await readOnce(
      `snmp://public@${at}/${IF_HC_IN_OCTETS}.{{ ${IF_NAME} == lo }}`,
      `snmp://public@${at}/${IF_IN_OCTETS}.{{ ${IF_NAME} == lo }}`,
    );
    expect(problems).toEqual([]);
    // Both count the octets of one interface, the older counter modulo 2^32.
    const difference = ((values.m0 as number) % 2 ** 32) - (values.m1 as number);
    expect(Math.abs(difference)).toBeLessThan(1e6);
  });

  test('misses an instance of a column that exists', async () => {
    const { up, problems } = await readOnce(`snmp://public@${at}/${IF_HC_IN_OCTETS}.999999`);
    expect(up).toBe(true);
    expect(problems).toEqual([`missing: ${IF_HC_IN_OCTETS}.999999: noSuchInstance`]);
  });

  test('reads a float in an Opaque', async () => {
    const { values } = await readOnce(`snmp://public@${at}/${LOAD_FLOAT}`);
    expect(values.m0).toBeGreaterThanOrEqual(0);
    expect(values.m0).toBeLessThan(1000);
  });

  test('reads over IPv6', async () => {
    const { values } = await readOnce(`snmp://public@[0:0::1]:${agent.port}/${IDRAC_WATT}`);
    expect(values).toEqual({ m0: 238 });
  });

  test('finds the address of a name that answers', async () => {
    const reader = openReader([`snmp://public@localhost:${agent.port}/${IDRAC_WATT}`]);
    // localhost may be ::1 or 127.0.0.1; the agent listens on the first only, and a failure moves on.
    const results = [await reader.read(500), await reader.read(500)];
    expect(results.some(({ up }) => up)).toBe(true);
    await reader.close();
  });

  test('multiplies by the scale factor', async () => {
    const reader = openReader(
      [`snmp://public@${at}/${IDRAC_WATT}`, `snmp://public@${at}/${VALUES.numberText}`],
      {
        scale: 0.1,
      },
    );
    expect(summary(await reader.read()).values).toEqual({ m0: 23.8, m1: 23.05 });
    await reader.close();
  });

  test('hands out the same series at each poll, and one time for all', async () => {
    const reader = openReader([`snmp://public@${at}/${IDRAC_WATT}`, `snmp://public@${at}/${VALUES.text}`]);
    const first = await reader.read();
    const second = await reader.read();
    expect(second.samples[0]?.series).toBe(first.samples[0]?.series);
    expect(second.samples[1]?.series).toBe(first.samples[1]?.series);
    expect(new Set(first.samples.map(({ timestampUs }) => timestampUs))).toEqual(
      new Set([first.timestampUs]),
    );
    expect(second.timestampUs).toBeGreaterThan(first.timestampUs);
    expect(Number.isInteger(second.timestampUs)).toBe(true);
    await reader.close();
  });

  test('walks a prefix once for many templates and polls', async () => {
    const reader = openReader(
      Array.from(
        { length: OUTLETS },
        (_, index) => `snmp://public@${at}/${OUTLET_WATT}.{{ ${OUTLET_NAME} == outlet${index + 1} }}`,
      ),
    );
    for (let poll = 0; poll < 5; poll++) {
      const { values } = summary(await reader.read());
      expect(Object.values(values)).toEqual(Array.from({ length: OUTLETS }, (_, index) => 151 + index));
    }
    expect(reader.session.templates.walks).toBe(1);
    await reader.close();
  });

  test('does not answer a wrong community', async () => {
    const reader = openReader([`snmp://wrong@${at}/${IDRAC_WATT}`]);
    const { up, values, problems } = summary(await reader.read(300));
    expect({ up, values }).toEqual({ up: false, values: {} });
    expect(problems[0]).toMatch(
      /^timeout: no answer from 127.0.0.1:\d+ within \d+ ms \([1-3] attempts; a wrong community is not answered either\)$/,
    );
    await reader.close();
  });

  test('refused where nothing listens', async () => {
    const { up, problems } = await readOnce(`snmp://public@127.0.26.9:${agent.port}/${IDRAC_WATT}`);
    expect(up).toBe(false);
    expect(problems).toEqual([`refused: 127.0.26.9:${agent.port}: nothing listens there`]);
  });

  test('refused where the host has no address', async () => {
    const { up, problems } = await readOnce(`snmp://public@no-such-host.invalid/${IDRAC_WATT}`);
    expect(up).toBe(false);
    expect(problems[0]).toMatch(/^refused: no-such-host.invalid: (no such host name|the (host )?name)/);
  });

  test('a paused agent costs its time-out only, and is read again when it wakes', async () => {
    const reader = openReader([`snmp://public@${at}/${IDRAC_WATT}`]);
    agent.pause();
    const startMs = performance.now();
    expect((await reader.read(300)).up).toBe(false);
    expect(performance.now() - startMs).toBeLessThan(1000);
    agent.resume();
    const woken = await reader.read();
    expect(woken.up).toBe(true);
    await reader.close();
  });

  test('an answer that came in time counts, also when this process was held for longer than the time-out', async () => {
    const readers = agent.addresses.map((address) =>
      openReader([`snmp://public@${address}:${agent.port}/${IDRAC_WATT}`]),
    );
    for (const reader of readers) await reader.read(2000);
    // Behind the sockets in Node's round: time-outs come next.
    await new Promise(setImmediate);
    const reads = readers.map((reader) => reader.read(300));
    const heldUntilMs = performance.now() + 500;
    while (performance.now() < heldUntilMs);
    expect((await Promise.all(reads)).map(({ up }) => up)).toEqual([true, true, true]);
    for (const reader of readers) await reader.close();
  });
});

describe.skipIf(skipUnless('snmpd', snmpdPath !== undefined))('SNMP v3 against a real agent', () => {
  let agent: Snmpd;
  beforeAll(async () => {
    agent = await startSnmpd({ firstAddress: '127.0.26.11' });
  });
  afterAll(() => agent?.stop());

  async function readAs(user: string, parameters: string) {
    const at = `${agent.addresses[0]}:${agent.port}`;
    const reader = openReader([
      `snmp://${user}@${at}/${IDRAC_WATT}?version=3${parameters}`,
      `snmp://${user}@${at}/${OUTLET_WATT}.{{ ${OUTLET_NAME} == outlet3 }}?version=3${parameters}`,
    ]);
    try {
      return summary(await reader.read(2000));
    } finally {
      await reader.close();
    }
  }

  const AUTH = '&auth_key=authpass123';
  const PRIV = '&priv_key=privpass123';
  test.each([
    ['noAuthNoPriv', 'kwnone', ''],
    ['MD5', 'kwmd5', `&auth=md5${AUTH}`],
    ['SHA-1', 'kwsha1', `&auth=sha1${AUTH}`],
    ['SHA-256', 'kwsha256', `&auth=sha256${AUTH}`],
    ['SHA-512', 'kwsha512', `&auth=sha512${AUTH}`],
    ['SHA-1 and AES-128', 'kwsha1', `&auth=sha1${AUTH}&priv=aes128${PRIV}`],
    ['SHA-1 and AES-256 (a stretched key)', 'kwsha1aes256', `&auth=sha1${AUTH}&priv=aes256${PRIV}`],
    ['SHA-224 and AES-128', 'kwsha224', `&auth=sha224${AUTH}&priv=aes128${PRIV}`],
    ['SHA-256 and AES-128', 'kwsha256', `&auth=sha256${AUTH}&priv=aes128${PRIV}`],
    ['SHA-256 and AES-256', 'kwsha256aes256', `&auth=sha256${AUTH}&priv=aes256${PRIV}`],
    ['SHA-384 and AES-128', 'kwsha384', `&auth=sha384${AUTH}&priv=aes128${PRIV}`],
    ['SHA-512 and AES-128', 'kwsha512', `&auth=sha512${AUTH}&priv=aes128${PRIV}`],
    ['SHA-512 and AES-256', 'kwsha512aes256', `&auth=sha512${AUTH}&priv=aes256${PRIV}`],
  ])('%s', async (_name, user, parameters) => {
    expect(await readAs(user, parameters)).toEqual({ up: true, values: { m0: 238, m1: 153 }, problems: [] });
  });

  test.each([
    ['a wrong auth key', 'kwsha256', '&auth=sha256&auth_key=wrongpass1', 'wrong auth key or protocol'],
    ['a wrong auth protocol', 'kwsha256', `&auth=sha1${AUTH}`, 'wrong auth key or protocol'],
    ['an unknown user', 'nobody', '', 'the agent does not know this user'],
  ])('%s', async (_name, user, parameters, message) => {
    expect(await readAs(user, parameters)).toMatchObject({
      up: false,
      values: {},
      problems: expect.arrayContaining([`auth: ${message}`]),
    });
  });

  test('a user without encryption where the agent demands it', async () => {
    const { values, problems } = await readAs('kwpriv', `&auth=sha256${AUTH}`);
    expect(values).toEqual({});
    expect(problems.join()).toContain('authorizationError');
  });

  test('goes on when the agent has restarted', async () => {
    const at = `${agent.addresses[0]}:${agent.port}`;
    const reader = openReader([
      `snmp://kwsha512aes256@${at}/${OUTLET_WATT}.{{ ${OUTLET_NAME} == outlet3 }}?version=3&auth=sha512${AUTH}&priv=aes256${PRIV}`,
    ]);
    expect(summary(await reader.read()).values).toEqual({ m0: 153 });
    await agent.restart();
    expect(summary(await reader.read(3000)).values).toEqual({ m0: 153 });
    expect(reader.session.templates.walks).toBe(2);
    await reader.close();
  });
});

describe.skipIf(skipUnless('snmpd', snmpdPath !== undefined))('templates of an agent that changes', () => {
  const TABLE = '1.3.6.1.4.1.99998.1';
  const rows = (names: readonly string[]) =>
    names.flatMap((name, index) => [
      `override ${TABLE}.1.${index + 1} octet_str "${name}"`,
      `override ${TABLE}.2.${index + 1} integer ${name.charCodeAt(0)}`,
    ]);
  let agent: Snmpd;
  beforeAll(async () => {
    agent = await startSnmpd({ firstAddress: '127.0.26.21', lines: rows(['a', 'b', 'c']) });
  });
  afterAll(() => agent?.stop());
  const url = (name: string) =>
    `snmp://public@${agent.addresses[0]}:${agent.port}/${TABLE}.2.{{ ${TABLE}.1 == ${name} }}`;

  test('rows that a restart renumbered are found again, and never read as others', async () => {
    const reader = openReader([url('a'), url('b'), url('c')]);
    expect(summary(await reader.read()).values).toEqual({ m0: 97, m1: 98, m2: 99 });
    await agent.restart(rows(['c', 'a']));
    expect(summary(await reader.read())).toEqual({
      up: true,
      values: { m0: 97, m2: 99 },
      problems: [`missing: {{ ${TABLE}.1 == b }}: no row has this value`],
    });
    expect(reader.session.templates.walks).toBe(2);
    await reader.close();
  });
});
