/**
 * CPU time of reading SNMP, a varbind: kw's own codec and session against the package net-snmp, and the
 * decoding alone. The agent is a real snmpd on loopback; only this process's time counts.
 *
 *   node bench/run.js snmp/codec [sessions=200] [rounds=20]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import snmp from 'net-snmp';
import {
  BerReader,
  integer,
  Response,
  readCommunityMessage,
  Tag,
  tlv,
} from '../../src/lib/devices/snmp/codec.ts';
import { parseOid } from '../../src/lib/devices/snmp/oid.ts';
import { SnmpSession } from '../../src/lib/devices/snmp/session.ts';
import { parseSnmpUrl } from '../../src/lib/devices/snmp/url.ts';
import { nowUs } from '../../src/lib/time.ts';
import { OUTLET_WATT, OUTLETS, startSnmpd } from '../../test/support/snmpd.ts';

const sessions = Number(process.argv[2] ?? 200);
const rounds = Number(process.argv[3] ?? 20);
const OIDS = Array.from({ length: OUTLETS }, (_, index) => `${OUTLET_WATT}.${index + 1}`);

/** Microseconds of user and system time of this process while `work` runs, divided by `count`. */
async function cpuUsPer(count: number, work: () => Promise<void> | void): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}

const V3 = '?version=3&auth=sha256&auth_key=authpass123&priv=aes128&priv_key=privpass123';

/** Reads as kw's collector does them: a poll of all OIDs for each session, in groups of `inFlight`. */
async function ownSessions(
  hosts: readonly string[],
  port: number,
  oids: readonly string[],
  inFlight: number,
  isV3 = false,
) {
  const context = { nowUs, isConfiguredMetric: () => false };
  const polls = hosts.map((host) => {
    const urls = oids.map((oid) =>
      parseSnmpUrl(`snmp://${isV3 ? 'kwsha256' : 'public'}@${host}:${port}/${oid}${isV3 ? V3 : ''}`, {
        resolveSecret: (text) => text,
      }),
    );
    const session = new SnmpSession(urls[0] as (typeof urls)[0], context);
    const metrics = urls.map((url, index) => ({
      url,
      deviceId: host,
      metricId: `m${index}`,
      labels: {},
      scaleFactor: undefined,
    }));
    return { session, poll: session.plan(metrics) };
  });
  let values = 0;
  const round = async () => {
    for (let first = 0; first < polls.length; first += inFlight) {
      const group = polls.slice(first, first + inFlight);
      const results = await Promise.all(group.map(({ poll }) => poll.read(1000)));
      for (const { samples } of results) values += samples.length;
    }
  };
  for (let warm = 0; warm < 10; warm++) await round();
  values = 0;
  const expected = hosts.length * rounds * oids.length;
  const us = await cpuUsPer(expected, async () => {
    for (let index = 0; index < rounds; index++) await round();
  });
  for (const { session } of polls) await session.close();
  if (values !== expected) throw new Error(`${values} values instead of ${expected}`);
  return us;
}

async function netSnmpSessions(
  hosts: readonly string[],
  port: number,
  oids: readonly string[],
  inFlight: number,
) {
  const all = hosts.map((host) => snmp.createSession(host, 'public', { port, version: snmp.Version2c }));
  let values = 0;
  const read = (session: (typeof all)[0]) =>
    new Promise<void>((resolve, reject) => {
      session.get([...oids], (error, varbinds) => {
        values += varbinds?.length ?? 0;
        if (error) reject(error);
        else resolve();
      });
    });
  const round = async () => {
    for (let first = 0; first < all.length; first += inFlight)
      await Promise.all(all.slice(first, first + inFlight).map(read));
  };
  for (let warm = 0; warm < 10; warm++) await round();
  values = 0;
  const expected = hosts.length * rounds * oids.length;
  const us = await cpuUsPer(expected, async () => {
    for (let index = 0; index < rounds; index++) await round();
  });
  for (const session of all) session.close();
  if (values !== expected) throw new Error(`${values} values instead of ${expected}`);
  return us;
}

/** Decoding one answer of 24 integers, nothing else. */
async function decodeOnly(): Promise<number> {
  const varbinds = OIDS.map((oid, index) =>
    tlv(Tag.sequence, tlv(Tag.oid, parseOid(oid)), integer(150 + index)),
  );
  const pdu = tlv(Tag.response, integer(0x0123_4567), integer(0), integer(0), tlv(Tag.sequence, ...varbinds));
  const datagram = tlv(Tag.sequence, integer(1), tlv(Tag.octetString, Buffer.from('public')), pdu);
  const reader = new BerReader();
  const response = new Response(OUTLETS);
  const times = 200_000;
  const run = () => {
    for (let index = 0; index < times; index++)
      if (!readCommunityMessage(reader, datagram, '2c', response)) throw new Error('not decoded');
  };
  run();
  return cpuUsPer(times * OUTLETS, run);
}

const agent = await startSnmpd({ addresses: sessions, firstAddress: '127.0.27.1' });
const line = (name: string, us: number) =>
  console.log(`${name.padEnd(76)}${us.toFixed(2).padStart(8)} us a value`);
try {
  line('decoding alone, 24 values a PDU, own codec', await decodeOnly());
  line(
    `${sessions} sessions, ${OUTLETS} OIDs a PDU, 4 in flight: kw, v3 SHA-256 AES-128`,
    await ownSessions(agent.addresses, agent.port, OIDS, 4, true),
  );
  for (const inFlight of [4, 32]) {
    for (const oids of [OIDS, OIDS.slice(0, 1)]) {
      const what = `${sessions} sessions, ${oids.length} OIDs a PDU, ${inFlight} in flight`;
      line(`${what}: kw`, await ownSessions(agent.addresses, agent.port, oids, inFlight));
      await sleep(100);
      line(`${what}: net-snmp`, await netSnmpSessions(agent.addresses, agent.port, oids, inFlight));
      await sleep(100);
    }
  }
} finally {
  await agent.stop();
}
