/**
 * The way to one BMC: a connected UDP socket, so that the kernel keeps foreign datagrams away and tells when nothing
 * listens there. Opened with the first datagram, again after an error, and closed by `close`.
 */
import { createSocket, type Socket } from 'node:dgram';
import type { Address } from '../shared/hosts.ts';

export interface LinkListener {
  receive(datagram: Buffer): void;
  /** The network says that the BMC cannot be reached: a code such as ECONNREFUSED. */
  fail(code: string): void;
}

export class Link {
  readonly #target: Address;
  readonly #port: number;
  readonly #listener: LinkListener;
  #socket: Socket | undefined;
  /** Datagrams for a socket that is not connected yet. */
  #waiting: Buffer[] | undefined;

  constructor(target: Address, port: number, listener: LinkListener) {
    this.#target = target;
    this.#port = port;
    this.#listener = listener;
  }

  /** Sends without a word about errors: what did not get out is like what was lost, or is told to the listener. */
  send(datagram: Buffer): void {
    if (this.#socket === undefined) this.#open();
    if (this.#waiting) this.#waiting.push(datagram);
    else this.#socket?.send(datagram);
  }

  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#waiting = undefined;
    try {
      socket?.close();
    } catch {
      // Closed already.
    }
  }

  #open(): void {
    const { address, family } = this.#target;
    const socket = createSocket({
      type: family === 4 ? 'udp4' : 'udp6',
      lookup: (_host, _options, callback) => callback(null, address, family),
    });
    this.#socket = socket;
    this.#waiting = [];
    socket.on('message', (datagram) => this.#listener.receive(datagram));
    socket.on('error', (error) => this.#fail(socket, error));
    socket.connect(this.#port, address, (error?: Error) => {
      if (error) return this.#fail(socket, error);
      if (this.#socket !== socket) return;
      const waiting = this.#waiting ?? [];
      this.#waiting = undefined;
      for (const datagram of waiting) socket.send(datagram);
    });
  }

  /** The next datagram opens another socket. */
  #fail(socket: Socket, error: Error): void {
    if (this.#socket !== socket) return;
    this.close();
    this.#listener.fail('code' in error ? String(error.code) : 'the socket failed');
  }
}
