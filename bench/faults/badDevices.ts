/** Devices that misbehave, beside healthy ones. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { startFakeExporter } from '../../test/support/fakeExporter.ts';
import {
  type Behaviour,
  integerAt,
  responseTo,
  startLyingAgent,
  textAt,
} from '../../test/support/lyingAgent.ts';
import { entry, pduEntries } from '../support/entries.ts';

/** Devices beside the healthy ones, from the start. */
export interface BadDevices {
  readonly yaml: string;
  stop(): Promise<void>;
}

export interface Scenario {
  readonly title: string;
  /** How many of the 200 PDUs are healthy. */
  readonly healthy: number;
  readonly badDevices: (port: number) => Promise<BadDevices>;
}

export const PDUS = 200;
const BAD = 60;
const SLOW_MS = 5_000;
const PAGE_BYTES = 10_000_000;

const badAddress = (index: number) => `127.26.21.${index + 1}`;
const badName = (index: number) => `bad-${index + 1}`;

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  dead: {
    title: `${BAD} of ${PDUS} PDUs are dead`,
    healthy: PDUS - BAD,
    async badDevices(port) {
      // Bound and silent: a machine that is off sends no ICMP message either.
      const sockets = await Promise.all(
        Array.from({ length: BAD }, async (_, index) => {
          const socket = createSocket('udp4').bind(port, badAddress(index));
          await once(socket, 'listening');
          return socket;
        }),
      );
      return {
        yaml: sockets.map((_, index) => pduEntries(badName(index), badAddress(index), port)).join(''),
        async stop() {
          for (const socket of sockets) socket.close();
        },
      };
    },
  },
  slow: {
    title: `${BAD} of ${PDUS} PDUs answer after ${SLOW_MS / 1000} s`,
    healthy: PDUS - BAD,
    badDevices: () => lyingAgents(() => (request, reply) => reply(responseTo(request), SLOW_MS)),
  },
  lying: {
    title: `${BAD} of ${PDUS} PDUs lie, and two exporters`,
    healthy: PDUS - BAD,
    async badDevices() {
      const agents = await lyingAgents((index) => LIES[index % LIES.length] as Behaviour);
      const line = Buffer.from('x'.repeat(99));
      const long = await startFakeExporter((_, response) => {
        for (let bytes = 0; bytes < PAGE_BYTES; bytes += 100) response.write(`${line}\n`);
        response.end();
      });
      const endless = await startFakeExporter((_, response) => {
        const timer = setInterval(() => response.write('endless_metric 1\n'.repeat(1_000)), 10);
        response.once('close', () => clearInterval(timer));
      });
      const page = (name: string, port: number) =>
        entry({ name: 'page', device_id: name, url: `prometheus://127.0.0.1:${port}/` });
      return {
        yaml: agents.yaml + page('bad-long', long.port) + page('bad-endless', endless.port),
        async stop() {
          await Promise.all([agents.stop(), long.close(), endless.close()]);
        },
      };
    },
  },
};

/** Wrong OIDs, wrong types, wrong request ids, a cut and a mangled datagram, an error, a version, a flood. */
const LIES: readonly Behaviour[] = [
  (request, reply) =>
    reply(responseTo(request, { varbinds: request.oids.map(() => integerAt('1.3.6.1.9.9', 1)) })),
  (request, reply) =>
    reply(responseTo(request, { varbinds: request.oids.map((oid) => textAt(oid, 'watt?')) })),
  (request, reply) => reply(responseTo(request, { id: request.id + 1 })),
  (request, reply) => reply(responseTo(request).subarray(0, 30)),
  (request, reply) => reply(responseTo(request).map((byte, index) => (index % 7 === 0 ? byte ^ 0x55 : byte))),
  (request, reply) => reply(responseTo(request, { errorStatus: 5, errorIndex: 99 })),
  (request, reply) => reply(responseTo(request, { version: 7 })),
  (request, reply) => {
    for (let copy = 0; copy < 50; copy++) reply(responseTo(request, { id: copy }));
  },
  (request, _, replyFromElsewhere) => replyFromElsewhere(responseTo(request)),
  (_, reply) => reply(Buffer.alloc(60_000, 0x30)),
];

async function lyingAgents(behaviour: (index: number) => Behaviour): Promise<BadDevices> {
  const agents = await Promise.all(
    Array.from({ length: BAD }, (_, index) => startLyingAgent(behaviour(index), badAddress(index))),
  );
  return {
    yaml: agents.map(({ host, port }, index) => pduEntries(badName(index), host, port)).join(''),
    async stop() {
      await Promise.all(agents.map((agent) => agent.stop()));
    },
  };
}
