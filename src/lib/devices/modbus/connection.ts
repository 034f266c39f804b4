/**
 * One TCP connection to one device or gateway, with one request under way: many gateways put everybody's requests on
 * one serial line, and mix up answers.
 *
 * modbus-serial makes and checks the frames. The socket is kw's own: the library would not tell that it closed under a
 * request. It is loaded with the first session.
 */
import { connect, type Socket } from 'node:net';
import type { Fact, ProblemKind, SessionContext } from '../driver.ts';
import { codeOf, isReset, networkFailure } from '../shared/networkFailure.ts';
import { quote } from '../shared/tally.ts';
import type { Block } from './blocks.ts';
import type { ModbusUrl } from './url.ts';

/** What one request read. */
export interface Answer {
  /** Two bytes a register; for bits one byte each, 0 or 1. */
  readonly bytes: Buffer;
  /** Middle between request and answer, in microseconds since the epoch. */
  readonly timestampUs: number;
}

export class ModbusError extends Error {
  readonly kind: ProblemKind;
  /** The connection is of no use any more, or the device does not answer at all. */
  readonly isFatal: boolean;
  /** An address that the device does not have: smaller requests may do. */
  readonly isAddress: boolean;

  constructor(kind: ProblemKind, message: string, { isFatal = false, isAddress = false } = {}) {
    super(message);
    this.name = 'ModbusError';
    this.kind = kind;
    this.isFatal = isFatal;
    this.isAddress = isAddress;
  }
}

/** A CommonJS package that its types take for one of both kinds: the class is the default of the default. */
async function loadModbus() {
  return (await import('modbus-serial')).default.default;
}

type ModbusClient = InstanceType<Awaited<ReturnType<typeof loadModbus>>>;

interface Open {
  readonly socket: Socket;
  readonly client: ModbusClient;
  /** Rejects when the socket closes. */
  readonly closed: Promise<never>;
}

export class ModbusConnection {
  readonly #url: ModbusUrl;
  readonly #context: SessionContext;
  #open: Open | undefined;
  #connecting: Socket | undefined;
  #isClosed = false;

  constructor(url: ModbusUrl, context: SessionContext) {
    this.#url = url;
    this.#context = context;
    void loadModbus();
  }

  /** @param deadline on the clock of performance.now() @throws ModbusError and nothing else */
  async read(block: Block<unknown>, deadline: number): Promise<Answer> {
    const wasOpen = this.#open !== undefined;
    try {
      return await this.#request(block, deadline);
    } catch (error) {
      // A device may close an idle connection just when it is used again.
      const isStale = error instanceof ModbusError && wasOpen && error.kind === 'protocol' && error.isFatal;
      if (!isStale || this.#isClosed) throw error;
      return await this.#request(block, deadline);
    }
  }

  get facts(): Fact[] {
    const { remoteAddress, remotePort } = this.#open?.socket ?? {};
    const text = remoteAddress === undefined ? '(not connected)' : `${remoteAddress} tcp port ${remotePort}`;
    return [{ name: 'address', text }];
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#open) this.#context.trace?.({ step: 'close', text: 'the connection' });
    this.#connecting?.destroy();
    this.#drop();
  }

  async #request(block: Block<unknown>, deadline: number): Promise<Answer> {
    const { client, closed } = await this.#connected(deadline);
    const { unit, table, start, count } = block;
    const timeoutMs = Math.max(1, Math.ceil(deadline - performance.now()));
    client.setID(unit);
    client.setTimeout(timeoutMs);
    const startUs = this.#context.nowUs();
    try {
      const answer = await Promise.race([ask(client, block), closed]);
      const timestampUs = Math.round((startUs + this.#context.nowUs()) / 2);
      const bytes = bytesOf(answer, block);
      this.#trace(block, `answered with ${bytes.toString('hex').slice(0, 64)}`);
      return { bytes, timestampUs };
    } catch (error) {
      const failure = failureOf(
        error,
        unit,
        `${table} ${start}${count > 1 ? ` to ${start + count - 1}` : ''}`,
      );
      this.#trace(block, failure.message);
      if (failure.isFatal) this.#drop();
      throw failure;
    }
  }

  #trace({ unit, table, start, count }: Block<unknown>, outcome: string): void {
    const what = `unit ${unit}, ${count} of ${table} from ${start}`;
    this.#context.trace?.({ step: 'read', text: `${what}: ${outcome}` });
  }

  #drop(): void {
    this.#open?.socket.destroy();
    this.#open = undefined;
  }

  async #connected(deadline: number): Promise<Open> {
    if (this.#open !== undefined) return this.#open;
    const library = await loadModbus();
    if (this.#isClosed) throw new ModbusError('refused', 'the session was closed', { isFatal: true });
    const socket = await this.#connect(deadline);
    const client = new library();
    const closed = new Promise<never>((_, reject) => {
      socket.on('error', () => {});
      socket.once('close', () => {
        if (this.#open?.socket === socket) this.#open = undefined;
        // Ends the timer of the request that was under way.
        client.destroy(() => {});
        reject(new ModbusError('protocol', 'closed the connection before its answer', { isFatal: true }));
      });
    });
    closed.catch(() => {});
    client.on('error', () => {});
    await client.linkTCP(socket, { port: this.#url.port });
    this.#open = { socket, client, closed };
    return this.#open;
  }

  async #connect(deadline: number): Promise<Socket> {
    const { host, port } = this.#url;
    const socket = connect({ host, port, noDelay: true, keepAlive: true });
    this.#connecting = socket;
    socket.once('lookup', (error, address) => {
      const text = error ? `${host} has no address` : `${host} is ${address}`;
      this.#context.trace?.({ step: 'resolve', text });
    });
    let timer: NodeJS.Timeout | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        timer = setTimeout(
          () =>
            reject(new ModbusError('timeout', 'did not accept the connection in time', { isFatal: true })),
          Math.max(0, deadline - performance.now()),
        );
        socket.once('connect', resolve).once('error', reject);
        socket.once('close', () =>
          reject(new ModbusError('refused', 'the session was closed', { isFatal: true })),
        );
      });
    } catch (error) {
      socket.destroy();
      const failure = failureOf(error, this.#url.unit, '');
      this.#context.trace?.({ step: 'open', text: failure.message });
      throw failure;
    } finally {
      clearTimeout(timer);
      this.#connecting = undefined;
    }
    const text = `connected to ${socket.remoteAddress} tcp port ${socket.remotePort}`;
    this.#context.trace?.({ step: 'open', text });
    return socket;
  }
}

type Read =
  | Awaited<ReturnType<ModbusClient['readCoils']>>
  | Awaited<ReturnType<ModbusClient['readHoldingRegisters']>>;

function ask(client: ModbusClient, { table, start, count }: Block<unknown>): Promise<Read> {
  switch (table) {
    case 'holding':
      return client.readHoldingRegisters(start, count);
    case 'input':
      return client.readInputRegisters(start, count);
    case 'coil':
      return client.readCoils(start, count);
    case 'discrete':
      return client.readDiscreteInputs(start, count);
  }
}

function bytesOf({ data, buffer }: Read, { table, count }: Block<unknown>): Buffer {
  const isBits = table === 'coil' || table === 'discrete';
  const bytes = isBits ? Buffer.from(data.slice(0, count).map(Number)) : buffer;
  if (bytes.length !== (isBits ? count : 2 * count))
    throw new ModbusError('protocol', 'answered with another number of values', { isFatal: true });
  return bytes;
}

/** What exception codes mean (MODBUS Application Protocol 1.1b3, section 7). */
function exceptionOf(code: number, unit: number, where: string): ModbusError {
  const exception = (kind: ProblemKind, text: string, isAddress = false) =>
    new ModbusError(kind, `${text} (exception ${code})`, { isAddress });
  switch (code) {
    case 1:
      return exception('missing', `unit ${unit} cannot read this table: ${where}`);
    case 2:
      return exception('missing', `unit ${unit} has no ${where}`, true);
    case 3:
      return exception('protocol', `unit ${unit} refuses this request: ${where}`, true);
    case 4:
      return exception('protocol', `unit ${unit} failed while it read ${where}`);
    case 5:
    case 6:
      return exception('refused', `unit ${unit} is busy`);
    case 10:
      return exception('refused', `the gateway has no way to unit ${unit}`);
    case 11:
      return exception('timeout', `unit ${unit} does not answer its gateway`);
    default:
      return exception('protocol', `unit ${unit} cannot read ${where}`);
  }
}

const WORDS = { refusedHint: 'does it speak Modbus TCP?', noTlsHint: '' };

function failureOf(error: unknown, unit: number, where: string): ModbusError {
  if (error instanceof ModbusError) return error;
  const { modbusCode, errno, message } = error as {
    modbusCode?: unknown;
    errno?: unknown;
    message?: unknown;
  };
  if (typeof modbusCode === 'number') return exceptionOf(modbusCode, unit, where);
  // The library's own time-out, of a request.
  if (errno === 'ETIMEDOUT')
    return new ModbusError('timeout', `unit ${unit} did not answer in time`, { isFatal: true });
  const code = codeOf(error);
  const failure = networkFailure(code, WORDS);
  if (failure !== undefined) return new ModbusError(failure.kind, failure.message, { isFatal: true });
  if (isReset(code))
    return new ModbusError('protocol', 'closed the connection before its answer', { isFatal: true });
  return new ModbusError('protocol', `answered with something that is no Modbus: ${quote(String(message))}`, {
    isFatal: true,
  });
}
