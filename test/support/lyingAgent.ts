/**
 * An SNMP agent that does what a test tells it: late, wrong, broken or endless answers over real UDP.
 *
 *   const agent = await startLyingAgent((request, reply) => reply(responseTo(request, { id: 7 })));
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { BerReader, integer, Tag, tlv } from '../../src/lib/devices/snmp/codec.ts';
import { formatOid, parseOid } from '../../src/lib/devices/snmp/oid.ts';

/** A request of v1 or v2c, taken apart. */
export interface AgentRequest {
  readonly version: number;
  readonly community: string;
  readonly tag: number;
  readonly id: number;
  readonly maxRepetitions: number;
  readonly oids: readonly string[];
}

export interface Varbind {
  readonly oid: string;
  readonly tag: number;
  readonly content: Uint8Array;
}

export type Behaviour = (
  request: AgentRequest,
  /** Sends a datagram back, after `delayMs` or at once. */
  reply: (datagram: Uint8Array, delayMs?: number) => void,
  /** Sends it from another address, or another port. */
  replyFromElsewhere: (datagram: Uint8Array) => void,
) => void;

export interface LyingAgent {
  readonly host: string;
  readonly port: number;
  /** Every request so far. */
  readonly requests: readonly AgentRequest[];
  behave(behaviour: Behaviour): void;
  stop(): Promise<void>;
}

export async function startLyingAgent(behaviour: Behaviour, host = '127.0.0.1'): Promise<LyingAgent> {
  const socket = createSocket('udp4');
  const other = createSocket('udp4');
  socket.bind(0, host);
  other.bind(0, '127.0.0.99');
  await Promise.all([once(socket, 'listening'), once(other, 'listening')]);
  const requests: AgentRequest[] = [];
  const timers = new Set<NodeJS.Timeout>();
  let behave = behaviour;
  let isStopped = false;
  socket.on('message', (datagram, { address, port }) => {
    const request = readRequest(datagram);
    requests.push(request);
    const send = (answer: Uint8Array) => socket.send(answer, port, address);
    behave(
      request,
      (answer, delayMs) => {
        if (delayMs === undefined) send(answer);
        else timers.add(setTimeout(send, delayMs, answer));
      },
      (answer) => other.send(answer, port, address),
    );
  });
  return {
    host,
    port: socket.address().port,
    requests,
    behave: (next) => {
      behave = next;
    },
    stop: async () => {
      if (isStopped) return;
      isStopped = true;
      for (const timer of timers) clearTimeout(timer);
      socket.close();
      other.close();
    },
  };
}

/** An INTEGER below 2^31. */
export function integerAt(oid: string, value: number): Varbind {
  return { oid, tag: Tag.integer, content: integer(value).subarray(2) };
}

export function textAt(oid: string, text: string): Varbind {
  return { oid, tag: Tag.octetString, content: Buffer.from(text) };
}

export interface Lies {
  readonly id?: number;
  readonly version?: number;
  readonly pduTag?: number;
  readonly errorStatus?: number;
  readonly errorIndex?: number;
  readonly varbinds?: readonly Varbind[];
}

/** The response to a request: 42 for each OID, unless the lies say otherwise. */
export function responseTo(request: AgentRequest, lies: Lies = {}): Buffer {
  const varbinds = lies.varbinds ?? request.oids.map((oid) => integerAt(oid, 42));
  const pdu = tlv(
    lies.pduTag ?? Tag.response,
    integer(lies.id ?? request.id),
    integer(lies.errorStatus ?? 0),
    integer(lies.errorIndex ?? 0),
    tlv(
      Tag.sequence,
      ...varbinds.map(({ oid, tag, content }) =>
        tlv(Tag.sequence, tlv(Tag.oid, parseOid(oid)), tlv(tag, content)),
      ),
    ),
  );
  const community = tlv(Tag.octetString, Buffer.from(request.community));
  return tlv(Tag.sequence, integer(lies.version ?? request.version), community, pdu);
}

function readRequest(datagram: Buffer): AgentRequest {
  const reader = new BerReader();
  reader.reset(datagram);
  const end = reader.enter(Tag.sequence, datagram.length);
  const version = reader.integer(end);
  reader.next(end);
  const community = datagram.toString('utf8', reader.start, reader.end);
  const tag = reader.next(end);
  reader.position = reader.start;
  const id = reader.integer(end);
  reader.integer(end);
  const maxRepetitions = reader.integer(end);
  reader.enter(Tag.sequence, end);
  const oids: string[] = [];
  while (reader.position < end) {
    const varbindEnd = reader.enter(Tag.sequence, end);
    reader.next(varbindEnd);
    oids.push(formatOid(datagram, reader.start, reader.end));
    reader.position = varbindEnd;
  }
  return { version, community, tag, id, maxRepetitions, oids };
}
