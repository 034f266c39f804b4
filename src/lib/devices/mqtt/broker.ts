/**
 * The connection to one broker: connects, subscribes, and begins again when it is lost.
 *
 *   connecting --CONNACK 0--> connected --close--> waiting --1 s, doubling to 60 s--> connecting
 *        \--refused, no answer, CONNACK 1 to 5--------^      (from 5 s on after a wrong password)
 *
 * The library speaks MQTT; sockets are kw's own, so that each failure is told in kw's words and no packet is gathered
 * beyond the bound. It is loaded with the first stream.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { MqttClient } from 'mqtt';
import type { Problem, SessionContext } from '../driver.ts';
import { codeOf, networkFailure } from '../shared/networkFailure.ts';
import { quote } from '../shared/tally.ts';
import { PacketGuard } from './packetGuard.ts';
import type { MqttUrl } from './url.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_S = 30;
const FIRST_WAIT_MS = 1_000;
const FIRST_WAIT_AFTER_REFUSAL_MS = 5_000;
const LONGEST_WAIT_MS = 60_000;
/** A topic and the rest of a packet, beside its payload. */
const PACKET_OVERHEAD_BYTES = 66_000;

const WORDS = { refusedHint: 'does the broker run?', noTlsHint: 'is it mqtt:// without TLS?' };

/** Return codes of CONNACK (MQTT 3.1.1, section 3.2.2.3). */
const REFUSALS: Readonly<Record<number, { readonly kind: Problem['kind']; readonly text: string }>> = {
  1: { kind: 'protocol', text: 'does not speak MQTT 3.1.1' },
  2: { kind: 'protocol', text: 'refuses the name of this client' },
  3: { kind: 'refused', text: 'says that it is not available' },
  4: { kind: 'auth', text: 'refused user and password' },
  5: { kind: 'auth', text: 'does not let this user in, or asks for one' },
};

export interface BrokerEvents {
  /** @param isRetained the broker had kept it for new subscribers: its age is unknown */
  onMessage(topic: string, payload: Buffer, isRetained: boolean): void;
  onConnected(): void;
  onDown(problem: Problem): void;
  onProblem(problem: Problem): void;
}

async function loadMqtt() {
  return (await import('mqtt')).default;
}

export class Broker {
  readonly #url: MqttUrl;
  readonly #trace: SessionContext['trace'];
  readonly #events: BrokerEvents;
  /** What is wanted: filters with their QoS. */
  #filters: ReadonlyMap<string, 0 | 1> = new Map();
  #subscribed = new Set<string>();
  #client: MqttClient | undefined;
  #failure: Problem | undefined;
  #waitMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(url: MqttUrl, context: SessionContext, events: BrokerEvents) {
    this.#url = url;
    this.#trace = context.trace && ((step) => context.trace?.(step));
    this.#events = events;
    void this.#connect();
  }

  get isConnected(): boolean {
    return this.#client?.connected === true;
  }

  /** Subscribes to what is new and unsubscribes from what is not wanted any more, now or once connected. */
  subscribe(filters: ReadonlyMap<string, 0 | 1>): void {
    const gone = [...this.#subscribed].filter((filter) => !filters.has(filter));
    // Another QoS is another subscription, which replaces the old one (section 3.8.4).
    const changed = [...filters].filter(([filter, qos]) => this.#filters.get(filter) !== qos);
    this.#filters = filters;
    if (!this.isConnected) return;
    for (const filter of gone) {
      this.#subscribed.delete(filter);
      this.#client?.unsubscribe(filter, () => {});
    }
    for (const [filter, qos] of changed) this.#ask(filter, qos);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    const client = this.#client;
    this.#client = undefined;
    if (client === undefined) return;
    if (client.connected) this.#trace?.({ step: 'close', text: 'disconnected' });
    // A DISCONNECT, as far as there is somebody to hear it.
    const ended = new Promise<void>((resolve) => client.end(!client.connected, {}, () => resolve()));
    const patience = new Promise<void>((resolve) => setTimeout(resolve, 500).unref());
    await Promise.race([ended, patience]);
    client.stream?.destroy();
  }

  async #connect(): Promise<void> {
    const library = await loadMqtt();
    if (this.#isClosed) return;
    const { login } = this.#url;
    this.#failure = undefined;
    const client = new library.MqttClient(() => this.#socket(), {
      clean: true,
      clientId: `kw_${Math.random().toString(36).slice(2, 12)}`,
      connectTimeout: CONNECT_TIMEOUT_MS,
      keepalive: KEEP_ALIVE_S,
      protocolVersion: 4,
      reconnectPeriod: 0,
      resubscribe: false,
      queueQoSZero: false,
      ...(login && { username: login.user, password: login.password }),
    });
    this.#client = client;
    this.#subscribed = new Set();
    client.on('connect', () => {
      this.#waitMs = 0;
      this.#trace?.({
        step: 'authenticate',
        text: login ? 'the broker accepted user and password' : 'without a user',
      });
      this.#events.onConnected();
      for (const [filter, qos] of this.#filters) this.#ask(filter, qos);
    });
    client.on('message', (topic, payload, packet) => this.#events.onMessage(topic, payload, packet.retain));
    client.on('error', (error) => this.#failed(error));
    client.on('close', () => {
      // A CONNACK that refuses comes as an error, after which the library ends the connection.
      if (this.#client === client) this.#again(client);
    });
  }

  #ask(filter: string, qos: 0 | 1): void {
    this.#client?.subscribe(filter, { qos }, (error, granted) => {
      if (this.#isClosed) return;
      const isRefused = error !== null || (granted ?? []).some((grant) => grant.qos > 2);
      this.#trace?.({
        step: 'read',
        text: `subscription to ${quote(filter)}: ${isRefused ? 'refused' : 'granted'}`,
      });
      if (!isRefused) this.#subscribed.add(filter);
      else if (this.isConnected) {
        const message = `${this.#url.hostPort} does not let this user read ${quote(filter)}`;
        this.#events.onProblem({ kind: 'auth', message });
      }
    });
  }

  #socket(): Socket {
    const { host, port, tls, ca, insecure, maxBytes } = this.#url;
    const socket = tls
      ? connectTls({
          host,
          port,
          rejectUnauthorized: !insecure,
          ...(ca === undefined ? {} : { ca }),
          ...(isIP(host) === 0 ? { servername: host } : {}),
        })
      : connectTcp({ host, port });
    socket.once('lookup', (error: Error | null, address: string) => {
      this.#trace?.({ step: 'resolve', text: error ? `${host} has no address` : `${host} is ${address}` });
    });
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      const text = `connected to ${socket.remoteAddress} tcp port ${socket.remotePort}${tls ? ' with TLS' : ''}`;
      this.#trace?.({ step: 'open', text });
    });
    socket.on('error', (error) => this.#failed(error));
    const guard = new PacketGuard(maxBytes + PACKET_OVERHEAD_BYTES);
    socket.prependListener('data', (chunk: Buffer) => {
      if (guard.pass(chunk)) return;
      this.#failure = {
        kind: 'limit',
        message: `${this.#url.hostPort} sent a packet that is larger than max_bytes allows, malformed, or of QoS 2`,
      };
      socket.destroy();
    });
    return socket;
  }

  /** Keeps the first reason: what follows follows from it. */
  #failed(error: unknown): void {
    if (this.#failure !== undefined) return;
    const { hostPort } = this.#url;
    const { code } = error as { code?: unknown };
    const refusal = typeof code === 'number' ? REFUSALS[code] : undefined;
    const failure = networkFailure(codeOf(error), WORDS);
    if (refusal) this.#failure = { kind: refusal.kind, message: `${hostPort} ${refusal.text}` };
    else if (failure) this.#failure = { kind: failure.kind, message: `${hostPort} ${failure.message}` };
    else if (/connack timeout/i.test((error as Error).message))
      this.#failure = { kind: 'timeout', message: `${hostPort} does not answer as a broker` };
    else if (!/ECONNRESET|EPIPE/.test(codeOf(error)))
      this.#failure = {
        kind: 'protocol',
        message: `${hostPort} sent something that is no MQTT: ${quote((error as Error).message)}`,
      };
  }

  #again(client: MqttClient): void {
    this.#client = undefined;
    client.removeAllListeners();
    client.on('error', () => {});
    client.end(true);
    client.stream?.destroy();
    if (this.#isClosed) return;
    const problem = this.#failure ?? {
      kind: 'refused',
      message: `${this.#url.hostPort} closed the connection`,
    };
    this.#trace?.({ step: 'open', text: problem.message });
    const first = problem.kind === 'auth' ? FIRST_WAIT_AFTER_REFUSAL_MS : FIRST_WAIT_MS;
    this.#waitMs = Math.min(LONGEST_WAIT_MS, Math.max(first, this.#waitMs * 2));
    this.#events.onDown(problem);
    this.#timer = setTimeout(() => void this.#connect(), this.#waitMs);
  }
}
