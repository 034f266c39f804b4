/**
 * The UDP sockets of all SNMP sessions: one for IPv4, one for IPv6, opened with the first session and closed
 * with the last. An answer belongs to the exchange whose request id it carries, if it also comes from the
 * address that was asked; all else is counted for whoever sent it and thrown away.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { Address } from '../shared/hosts.ts';
import { BerReader, MAX_REQUEST_ID, MIN_REQUEST_ID, peekRequestId } from './codec.ts';

/** Attempts of one exchange: the low bits of a request id tell which of them was answered. */
export const MAX_ATTEMPTS = 8;
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Looks at the sockets before time-outs count; each takes in up to 32 datagrams. */
const MAX_LOOKS = 100;

/** A request under way. */
export interface Exchange {
  readonly target: Address;
  readonly port: number;
  /** When to call `onDue`, on performance.now(). */
  readonly dueMs: number;
  onDue(nowMs: number): void;
  /** A datagram with this exchange's id, from its address. */
  receive(datagram: Buffer, attempt: number): void;
}

/** Datagrams from one address that answered nothing: counted since they were last taken. */
export interface Strays {
  /** No request of that id is under way: late, repeated or made up. */
  unmatched: number;
  /** Not the beginning of an SNMP response. */
  malformed: number;
}

export class UdpTransport {
  readonly #sockets = new Map<4 | 6, Socket>();
  readonly #exchanges = new Map<number, Exchange>();
  readonly #strays = new Map<string, { strays: Strays; users: number }>();
  readonly #reader = new BerReader();
  /** Answers whose id is under way with another address: somebody guesses, or a device has two. */
  foreign = 0;
  #sequence = Math.floor(Math.random() * SEQUENCES);
  #sessions = 0;
  /** One timer for all exchanges, at the earliest `dueMs`: nearly all of them are answered before. */
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #received = 0;

  open(): void {
    this.#sessions++;
  }

  /** Ends the sockets with the last session. */
  close(): void {
    this.#sessions--;
    if (this.#sessions > 0) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  /** Counts strays from an address until `unwatch`. */
  watch(target: Address, port: number): Strays {
    const key = sourceKey(target.address, port);
    let entry = this.#strays.get(key);
    if (!entry) {
      entry = { strays: { unmatched: 0, malformed: 0 }, users: 0 };
      this.#strays.set(key, entry);
    }
    entry.users++;
    return entry.strays;
  }

  unwatch(target: Address, port: number): void {
    const key = sourceKey(target.address, port);
    const entry = this.#strays.get(key);
    if (entry && --entry.users === 0) this.#strays.delete(key);
  }

  /** Takes the exchange's answers from now on. Returns the id of its first attempt; the others follow it. */
  register(exchange: Exchange): number {
    do this.#sequence = (this.#sequence + 1) % SEQUENCES;
    while (this.#exchanges.has(this.#sequence));
    this.#exchanges.set(this.#sequence, exchange);
    return MIN_REQUEST_ID + this.#sequence * MAX_ATTEMPTS;
  }

  unregister(firstId: number): void {
    this.#exchanges.delete((firstId - MIN_REQUEST_ID) / MAX_ATTEMPTS);
  }

  /** Has a registered exchange called when it is due. To be told whenever its `dueMs` was set. */
  wakeAt(dueMs: number, nowMs: number): void {
    if (dueMs >= this.#timerAtMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = dueMs;
    this.#timer = setTimeout(() => this.#look(MAX_LOOKS), Math.max(1, Math.ceil(dueMs - nowMs)));
  }

  /** Node calls timers before it reads sockets: answers that wait there, when the process was held, come first. */
  #look(looks: number): void {
    const received = this.#received;
    setImmediate(() => {
      if (looks > 1 && this.#received > received) this.#look(looks - 1);
      else this.#callDue();
    });
  }

  #callDue(): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const nowMs = performance.now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const exchange of this.#exchanges.values()) {
      // Timers of Node may be early by a fraction of a millisecond.
      if (exchange.dueMs <= nowMs + 1) exchange.onDue(nowMs);
      else if (exchange.dueMs < nextMs) nextMs = exchange.dueMs;
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.wakeAt(nextMs, nowMs);
  }

  /**
   * Sends without a word about errors: an attempt that did not get out is like one that was lost, and what
   * keeps it from getting out is looked for by `SnmpClient`.
   */
  send(exchange: Exchange, message: Buffer): void {
    const { family, address } = exchange.target;
    const socket = this.#sockets.get(family) ?? this.#openSocket(family);
    socket.send(message, exchange.port, address);
  }

  #openSocket(family: 4 | 6): Socket {
    const socket = createSocket({
      type: family === 4 ? 'udp4' : 'udp6',
      // Addresses are looked up by Host; without this, Node would queue each send behind a tick for it.
      lookup: (address, _options, callback) => callback(null, address, family),
    });
    socket.on('message', (datagram, source) => this.#receive(datagram, source));
    socket.on('error', () => {
      // The next send opens a new one; what is under way runs into its time-out.
      if (this.#sockets.get(family) === socket) this.#sockets.delete(family);
      try {
        socket.close();
      } catch {
        // Closed already.
      }
    });
    socket.bind(0, undefined, () => {
      try {
        socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
      } catch {
        // The kernel's default does for smaller sites.
      }
    });
    this.#sockets.set(family, socket);
    return socket;
  }

  #receive(datagram: Buffer, source: RemoteInfo): void {
    this.#received++;
    const id = peekRequestId(this.#reader, datagram);
    const number = id - MIN_REQUEST_ID;
    const exchange = number < 0 ? undefined : this.#exchanges.get(Math.floor(number / MAX_ATTEMPTS));
    if (exchange === undefined) {
      const entry = this.#strays.get(sourceKey(source.address, source.port));
      if (entry && id === -1) entry.strays.malformed++;
      else if (entry) entry.strays.unmatched++;
      return;
    }
    if (source.port !== exchange.port || source.address !== exchange.target.address) {
      this.foreign++;
      return;
    }
    exchange.receive(datagram, number % MAX_ATTEMPTS);
  }
}

/** How many exchanges have ids of their own before they come round again. */
const SEQUENCES = Math.floor((MAX_REQUEST_ID - MIN_REQUEST_ID) / MAX_ATTEMPTS);

function sourceKey(address: string, port: number): string {
  return `${address} ${port}`;
}

/** The process has one transport: a socket for each device costs more than its polls (745 us for one OID). */
export const sharedTransport = new UdpTransport();
