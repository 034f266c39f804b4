/**
 * COPY ... TO STDOUT as a stream of buffers.
 *
 * The server sends each row as a message of its own. pg's parser would make an object of every one of them
 * (about 0.8 us a row), so that for the time of the copy this file reads the socket itself: it moves the rows of
 * one chunk of the socket together and hands them on as one buffer.
 *
 *   submitted --CopyOutResponse--> copying --ReadyForQuery, ErrorResponse--> handed back --> done
 *
 * While copying, our listener sits on the socket in place of pg's. Messages that may come in between (notices,
 * notifications, parameters) go on to pg. At the end or an error pg's listener is put back, is given the rest
 * of the chunk, and ends the query as it ends any other. Several statements in one query are several copies, one
 * behind the other.
 *
 * Message formats: PostgreSQL documentation, "Frontend/Backend Protocol", Message Formats.
 */
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Client, Connection } from 'pg';

const COPY_DATA = 0x64; // 'd'
/** CopyOutResponse, CopyDone, CommandComplete: nothing in them is of use to us. */
const BETWEEN_COPIES = new Set([0x48, 0x63, 0x43]); // 'H', 'c', 'C'
const NOTICE = 0x4e; // 'N'
const NOTIFICATION = 0x41; // 'A'
const PARAMETER_STATUS = 0x53; // 'S'
const HEADER_BYTES = 5;

/** The socket is paused while more than this waits for the consumer. */
const HIGH_WATER_BYTES = 1 << 20;

/**
 * Runs one COPY, or several with `;` between them, and yields their rows. Each buffer holds whole rows only, in the
 * COPY's own format, and belongs to the consumer. A consumer that stops early (break, throw) cancels the query in the server; the connection can
 * be used again afterwards.
 * @throws pg's DatabaseError, or the connection's error
 */
export async function* copyOut(client: Client, sql: string): AsyncGenerator<Buffer, void, void> {
  const query = new CopyOutQuery(sql);
  client.query(query);
  try {
    for (;;) {
      const rows = await query.next();
      if (rows === undefined) return;
      yield rows;
    }
  } finally {
    if (!query.finished) {
      query.discard();
      await cancelQuery(client).catch(() => undefined);
      await query.ended;
    }
  }
}

/** The listener of pg on its socket, and the socket. */
interface PgConnection extends Connection {
  readonly stream: Duplex;
  query(text: string): void;
}

class CopyOutQuery {
  readonly #sql: string;
  readonly #queue: Buffer[] = [];
  #queuedBytes = 0;
  #wake: (() => void) | undefined;
  #error: Error | undefined;
  #discarding = false;
  #stream: Duplex | undefined;
  #pgListener: ((chunk: Buffer) => void) | undefined;
  /** The beginning of a message whose rest has not come yet. */
  #partial: Buffer | undefined;
  #resolveEnded: () => void = () => undefined;
  finished = false;
  /** Resolves when the server is done with the query, well or not. */
  readonly ended = new Promise<void>((resolve) => {
    this.#resolveEnded = resolve;
  });
  /** pg looks at this member of every query it is given. */
  callback: undefined;

  constructor(sql: string) {
    this.#sql = sql;
  }

  /** The next rows; undefined at the end. */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      const rows = this.#queue.shift();
      if (rows !== undefined) {
        this.#queuedBytes -= rows.length;
        if (this.#queuedBytes < HIGH_WATER_BYTES / 2 && this.#pgListener) this.#stream?.resume();
        return rows;
      }
      if (this.#error) throw this.#error;
      if (this.finished) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** From now on rows are thrown away. */
  discard(): void {
    this.#discarding = true;
    this.#queue.length = 0;
    this.#stream?.resume();
  }

  // --- called by pg ---

  submit(connection: Connection): void {
    const { stream } = connection as PgConnection;
    this.#stream = stream;
    this.#pgListener = stream.listeners('data')[0] as (chunk: Buffer) => void;
    stream.removeListener('data', this.#pgListener);
    stream.on('data', this.#onData);
    (connection as PgConnection).query(this.#sql);
  }

  handleError(error: Error): void {
    this.#handBack(undefined);
    this.#error = error;
    this.#finish();
  }

  handleReadyForQuery(): void {
    this.#finish();
  }

  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}

  // --- the socket ---

  readonly #onData = (chunk: Buffer): void => {
    const data = this.#partial ? Buffer.concat([this.#partial, chunk]) : chunk;
    this.#partial = undefined;
    // Rows move down over the headers between them, in place: the buffer is ours.
    let rowsEnd = 0;
    let at = 0;
    let done = false;
    while (data.length - at >= HEADER_BYTES) {
      const type = data[at];
      const end = at + 1 + data.readUInt32BE(at + 1);
      if (type === COPY_DATA) {
        if (end > data.length) break;
        data.copyWithin(rowsEnd, at + HEADER_BYTES, end);
        rowsEnd += end - at - HEADER_BYTES;
      } else if (type === NOTICE || type === NOTIFICATION || type === PARAMETER_STATUS) {
        if (end > data.length) break;
        this.#pgListener?.(Buffer.from(data.subarray(at, end)));
      } else if (BETWEEN_COPIES.has(type as number)) {
        if (end > data.length) break;
      } else {
        done = true;
        break;
      }
      at = end;
    }
    if (rowsEnd > 0 && !this.#discarding) this.#push(data.subarray(0, rowsEnd));
    if (done) this.#handBack(data.subarray(at));
    else if (at < data.length) this.#partial = Buffer.from(data.subarray(at));
  };

  #push(rows: Buffer): void {
    this.#queue.push(rows);
    this.#queuedBytes += rows.length;
    if (this.#queuedBytes > HIGH_WATER_BYTES) this.#stream?.pause();
    this.#wake?.();
  }

  #handBack(rest: Buffer | undefined): void {
    const listener = this.#pgListener;
    if (!listener || !this.#stream) return;
    this.#pgListener = undefined;
    this.#stream.removeListener('data', this.#onData);
    this.#stream.on('data', listener);
    if (rest && rest.length > 0) listener(rest);
    this.#stream.resume();
  }

  #finish(): void {
    this.finished = true;
    this.#resolveEnded();
    this.#wake?.();
  }
}

const CANCEL_REQUEST_CODE = 80_877_102;
const CANCEL_TIMEOUT_MS = 2000;

/**
 * Asks the server to stop the query that `client` runs (CancelRequest on a connection of its own, which needs no
 * login). Resolves when the request is sent and the server has closed; whether the query was still running is
 * not told.
 */
export function cancelQuery(client: Client): Promise<void> {
  const { host, port, processID, secretKey } = client as Client & {
    processID: number | null;
    secretKey: number | null;
  };
  if (processID === null || secretKey === null) return Promise.resolve();
  const request = Buffer.alloc(16);
  request.writeUInt32BE(16, 0);
  request.writeUInt32BE(CANCEL_REQUEST_CODE, 4);
  request.writeInt32BE(processID, 8);
  request.writeInt32BE(secretKey, 12);
  return new Promise((resolve, reject) => {
    const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
    socket.setTimeout(CANCEL_TIMEOUT_MS, () => socket.destroy());
    socket.on('connect', () => socket.end(request));
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.resume();
  });
}
