/**
 * Wattmeters with a truth to compare with: v1 lines over TCP, where every port of a frame has the frame's number as
 * its value. Frame k is that of the instant k / 50 s since the epoch, so value and timestamp of a row say the same.
 * What was sent on which connection is remembered.
 *
 *   const feed = await startFrameFeed({ wattmeters: 1, ports: 42 });   // silent until flow()
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

export const FRAMES_PER_SECOND = 50;
const FRAME_MS = 1000 / FRAMES_PER_SECOND;

/** The frames that went to one connection, first and last included. */
export interface SentRun {
  readonly wattmeter: string;
  readonly first: number;
  readonly last: number;
}

export interface FrameFeed {
  readonly ports: number;
  /** Names: `wm0`, `wm1`, ...; their devices are `wm0-port0` and so on. */
  readonly wattmeters: readonly string[];
  /** URL of each wattmeter, by its index. */
  readonly urls: readonly string[];
  /** Sends frames from now on, to whoever is connected and connects. */
  flow(): void;
  /** No frame any more; connections stay. */
  pause(): void;
  /** Every connection that got a frame, oldest first. */
  sent(): SentRun[];
  /** Rows that make up everything that was sent. */
  rowsSent(): number;
  stop(): Promise<void>;
}

interface Connection {
  readonly wattmeter: string;
  readonly socket: Socket;
  first: number | undefined;
  last: number | undefined;
}

export async function startFrameFeed(options: { wattmeters: number; ports: number }): Promise<FrameFeed> {
  const { ports } = options;
  const wattmeters = Array.from({ length: options.wattmeters }, (_, index) => `wm${index}`);
  const all: Connection[] = [];
  const open = new Set<Connection>();
  const servers: Server[] = [];
  for (const wattmeter of wattmeters) {
    const server = createServer((socket) => {
      const connection: Connection = { wattmeter, socket, first: undefined, last: undefined };
      all.push(connection);
      open.add(connection);
      socket.on('error', () => {});
      // A reader that is gone gets nothing more, although the socket would take it for a while.
      socket.on('end', () => open.delete(connection));
      socket.on('close', () => open.delete(connection));
      socket.resume();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
  }

  let flowing = false;
  let next = 0;
  const timer = setInterval(() => {
    const due = Math.floor(Date.now() / FRAME_MS);
    for (; flowing && next <= due; next++) {
      const line = lineOf(next, ports);
      for (const connection of open) {
        connection.socket.write(line);
        connection.first ??= next;
        connection.last = next;
      }
    }
  }, FRAME_MS);

  const sent = (): SentRun[] =>
    all.flatMap(({ wattmeter, first, last }) =>
      first === undefined || last === undefined ? [] : [{ wattmeter, first, last }],
    );
  return {
    ports,
    wattmeters,
    urls: servers.map((server) => `wattmetre+tcp://127.0.0.1:${(server.address() as AddressInfo).port}`),
    flow() {
      next = Math.floor(Date.now() / FRAME_MS) + 1;
      flowing = true;
    },
    pause() {
      flowing = false;
    },
    sent,
    rowsSent: () => sent().reduce((rows, { first, last }) => rows + (last - first + 1) * ports, 0),
    async stop() {
      clearInterval(timer);
      for (const { socket } of open) socket.destroy();
      await Promise.all(
        servers.map(async (server) => {
          server.close();
          await once(server, 'close');
        }),
      );
    },
  };
}

function lineOf(frame: number, ports: number): string {
  const seconds = Math.floor(frame / FRAMES_PER_SECOND);
  const ms = String((frame % FRAMES_PER_SECOND) * FRAME_MS).padStart(3, '0');
  return `${frame % 256},${ports},${seconds}.${ms}000000,OK${`,${frame}`.repeat(ports)}\n`;
}
