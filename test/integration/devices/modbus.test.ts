/** The Modbus driver against Debian's pymodbus, and against servers that send what they like. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { modbusDriver } from '../../../src/lib/devices/modbus/driver.ts';
import { hasPymodbus, type ModbusServer, startModbusServer } from '../../support/modbusServer.ts';
import { type Entry, lines, openDevice } from '../../support/pollOnce.ts';
import { random } from '../../support/random.ts';
import { skipUnless } from '../../support/skip.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

function device(port: number, entries: readonly (string | (Omit<Entry, 'url'> & { path: string }))[]) {
  const opened = openDevice(
    modbusDriver,
    entries.map((entry) => {
      const { path, ...rest } = typeof entry === 'string' ? { path: entry } : entry;
      return { ...rest, url: `modbus://127.0.0.1:${port}/${path}` };
    }),
  );
  open.push(opened);
  return opened;
}

const REGISTERS = {
  // 231.3 as float32 at 10, an int64 of -5 at 12, a uint16 at 40, NaN at 50.
  holding: {
    10: 0x4367,
    11: 0x4ccd,
    12: 0xffff,
    13: 0xffff,
    14: 0xffff,
    15: 0xfffb,
    40: 1234,
    41: 7,
    50: 0x7fc0,
    51: 0,
  },
  input: { 0: 500, 1: 65_535 },
  coil: { 0: 1, 1: 0, 2: 1 },
  discrete: { 3: 1 },
};

describe.skipIf(skipUnless('python3-pymodbus', hasPymodbus))('a real Modbus server', () => {
  let server: ModbusServer;
  beforeAll(async () => {
    server = await startModbusServer(REGISTERS);
  });
  afterAll(() => server.stop());

  test('gives numbers of every table, and neighbours by one request', async () => {
    const meter = device(server.port, [
      { path: '1/10?type=float32', name: 'volt' },
      { path: '1/12?type=int64', name: 'energy', scaleFactor: 100 },
      { path: '1/40?scale=0.1', name: 'scaled' },
      { path: '1/1?table=input&type=int16', name: 'minus', labels: { phase: '1' } },
      { path: '1/0?table=coil', name: 'on' },
      { path: '1/1?table=coil', name: 'off' },
      { path: '1/3?table=discrete', name: 'door' },
      { path: '2/40', name: 'other_unit' },
    ]);
    const result = await meter.read();
    expect(lines(result).sort()).toEqual([
      'door 1',
      'energy -500',
      'minus{phase=1} -1',
      'off 0',
      'on 1',
      'other_unit 2234',
      'scaled 123.4',
      'volt 231.3',
    ]);
    expect(result.up).toBe(true);
    const reads = meter.steps
      .filter(({ step }) => step === 'read')
      .map(({ text }) => text.replace(/:.*/, ''));
    expect(reads).toEqual([
      'unit 1, 2 of coil from 0',
      'unit 1, 1 of discrete from 3',
      'unit 1, 6 of holding from 10',
      'unit 1, 1 of holding from 40',
      'unit 1, 1 of input from 1',
      'unit 2, 1 of holding from 40',
    ]);
    const again = await meter.read();
    expect(again.samples.every(({ series }, index) => series === result.samples[index]?.series)).toBe(true);
    expect(meter.steps.filter(({ step }) => step === 'open')).toHaveLength(1);
  });

  test('that has no register between two is asked for each, and remembered', async () => {
    const meter = device(server.port, ['1/41', '1/44', '1/50?type=float32']);
    const problems = [
      `missing: 127.0.0.1:${server.port} unit 1 has no holding 44 (exception 2)`,
      'missing: metric2: register 50 holds NaN, which is no reading',
    ];
    expect(lines(await meter.read())).toEqual(['metric0 7', ...problems]);
    const before = meter.steps.length;
    expect(lines(await meter.read())).toEqual(['metric0 7', ...problems]);
    expect(meter.steps.length - before).toBe(3);
  });

  test('is read again after it was restarted', async () => {
    const restarted = await startModbusServer({ holding: { 0: 1 } });
    const meter = device(restarted.port, ['1/0']);
    expect(lines(await meter.read())).toEqual(['metric0 1']);
    await restarted.stop();
    expect(lines(await meter.read())).toEqual([
      `refused: 127.0.0.1:${restarted.port} refused the connection: does it speak Modbus TCP?`,
    ]);
    const anew = await startModbusServer({ holding: { 0: 2 } }, restarted.port);
    open.push({ close: () => anew.stop() });
    expect(lines(await meter.read())).toEqual(['metric0 2']);
  });
});

describe('a server that sends what it likes', () => {
  /** Answers each request with the bytes that `answer` makes of it; undefined closes. */
  async function fake(answer: (request: Buffer, socket: Socket) => Buffer | undefined) {
    const sockets = new Set<Socket>();
    const server: Server = createServer((socket) => {
      sockets.add(socket);
      socket
        .on('error', () => {})
        .on('data', (request: Buffer) => {
          const bytes = answer(request, socket);
          if (bytes === undefined) socket.destroy();
          else socket.write(bytes);
        });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    open.push({
      async close() {
        for (const socket of sockets) socket.destroy();
        server.close();
        await once(server, 'close');
      },
    });
    return (server.address() as AddressInfo).port;
  }

  /** A right answer to a request for registers: each holds 7. */
  function right(request: Buffer): Buffer {
    const count = request.readUInt16BE(10);
    const data = Buffer.alloc(count * 2);
    for (let index = 0; index < count; index++) data.writeUInt16BE(7, index * 2);
    const head = Buffer.from([0, 0, 0, 0, 0, 3 + data.length, request[6] ?? 0, request[7] ?? 0, data.length]);
    request.copy(head, 0, 0, 2);
    return Buffer.concat([head, data]);
  }

  function exception(request: Buffer, code: number): Buffer {
    const answer = Buffer.from([0, 0, 0, 0, 0, 3, request[6] ?? 0, (request[7] ?? 0) | 0x80, code]);
    request.copy(answer, 0, 0, 2);
    return answer;
  }

  test.each([
    [1, 'missing', 'unit 3 cannot read this table: holding 5 (exception 1)', true],
    [2, 'missing', 'unit 3 has no holding 5 (exception 2)', true],
    [3, 'protocol', 'unit 3 refuses this request: holding 5 (exception 3)', true],
    [4, 'protocol', 'unit 3 failed while it read holding 5 (exception 4)', true],
    [6, 'refused', 'unit 3 is busy (exception 6)', true],
    [10, 'refused', 'the gateway has no way to unit 3 (exception 10)', true],
    [11, 'timeout', 'unit 3 does not answer its gateway (exception 11)', true],
    [99, 'protocol', 'unit 3 cannot read holding 5 (exception 99)', true],
  ])('says exception %i in words', async (code, kind, message, up) => {
    const port = await fake((request) => exception(request, code));
    const result = await device(port, ['3/5']).read();
    expect([lines(result), result.up]).toEqual([[`${kind}: 127.0.0.1:${port} ${message}`], up]);
  });

  test('has one request at a time, also when it is slow', async () => {
    let [under, most] = [0, 0];
    const port = await fake((request, socket) => {
      most = Math.max(most, ++under);
      setTimeout(() => {
        under--;
        socket.write(right(request));
      }, 20);
      return Buffer.alloc(0);
    });
    const meter = device(port, ['1/0', '1/50', '2/0', '3/0?table=input']);
    expect((await meter.read()).samples).toHaveLength(4);
    expect(most).toBe(1);
  });

  test('and never answers costs the deadline, and the late answer is not taken for another', async () => {
    let silent = true;
    const port = await fake((request, socket) => {
      if (!silent) return right(request);
      setTimeout(() => socket.write(right(request).fill(0xff, 9)), 350);
      return Buffer.alloc(0);
    });
    const meter = device(port, ['1/0']);
    const startMs = performance.now();
    expect(lines(await meter.read(300))).toEqual([
      `timeout: 127.0.0.1:${port} unit 1 did not answer in time`,
    ]);
    expect(performance.now() - startMs).toBeLessThan(500);
    silent = false;
    expect(lines(await meter.read())).toEqual(['metric0 7']);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(lines(await meter.read())).toEqual(['metric0 7']);
  });

  test('or closes an idle connection is asked again at once', async () => {
    let requests = 0;
    const port = await fake((request) => (++requests === 2 ? undefined : right(request)));
    const meter = device(port, ['1/0']);
    expect(lines(await meter.read())).toEqual(['metric0 7']);
    expect(lines(await meter.read())).toEqual(['metric0 7']);
    expect(requests).toBe(3);
  });

  test('is closed in the middle of a read without waiting for it', async () => {
    const port = await fake(() => Buffer.alloc(0));
    const meter = device(port, ['1/0']);
    const reading = meter.read(5000);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await meter.close();
    expect((await reading).problems).toHaveLength(1);
  });

  test.each<[string, (request: Buffer) => Buffer]>([
    ['of another unit', (request) => right(request).fill(9, 6, 7)],
    ['of another function', (request) => right(request).fill(4, 7, 8)],
    ['with a count that is too large', (request) => right(request).fill(250, 8, 9)],
    ['with a count that is too small', (request) => right(request).fill(0, 8, 9)],
    ['that is too long', (request) => Buffer.concat([right(request).fill(9, 5, 6), Buffer.alloc(4)])],
    ['of no length', () => Buffer.from([0, 1, 0, 0, 0, 0])],
    ['that is HTTP', () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ])('an answer %s gives no value', async (_what, answer) => {
    let bad = true;
    const port = await fake((request) => (bad ? answer(request) : right(request)));
    const meter = device(port, ['1/0']);
    const result = await meter.read(300);
    expect(result.samples).toEqual([]);
    expect(['protocol', 'timeout']).toContain(result.problems[0]?.kind);
    bad = false;
    expect(lines(await meter.read())).toEqual(['metric0 7']);
  });

  test('never ends the process, nor gives a value that was not sent right: 500 damaged answers', async () => {
    const next = random(23);
    let damaged = true;
    const port = await fake((request) => {
      const bytes = right(request);
      if (!damaged) return bytes;
      // The number itself may be anything: bytes 9 and 10 stay.
      const kind = next() % 4;
      if (kind === 0) return bytes.subarray(0, next() % 9);
      if (kind === 1) return Buffer.from(Array.from({ length: next() % 300 }, () => next() & 0xff));
      for (let flips = 1 + (next() % 3); flips > 0; flips--) {
        const position = next() % 9;
        bytes[position] = (bytes[position] ?? 0) ^ (1 << (next() % 8));
      }
      return kind === 2 ? bytes : Buffer.concat([bytes, bytes]);
    });
    const meter = device(port, ['1/0']);
    let values = 0;
    for (let round = 0; round < 500; round++) {
      const { samples } = await meter.read(8);
      values += samples.filter(({ value }) => value === 7).length;
      if (samples.some(({ value }) => value !== 7)) throw new Error(`read ${samples[0]?.value}`);
    }
    // Flips that undo each other, and of the protocol's number, which the library does not look at.
    expect(values).toBeLessThan(250);
    damaged = false;
    expect(lines(await meter.read())).toEqual(['metric0 7']);
  }, 60_000);
});
