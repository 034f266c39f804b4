import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type Address, Host } from '../../../../src/lib/devices/shared/hosts.ts';

const A: Address = { address: '192.0.2.1', family: 4 };
const B: Address = { address: '2001:db8::1', family: 6 };

/** A name server of the test: answers what is in `answer`, or fails with its code. */
function nameServer(answer: readonly Address[] | string) {
  const server = {
    answer,
    asked: 0,
    lookUp: async (): Promise<readonly Address[]> => {
      server.asked++;
      if (typeof server.answer === 'string') throw Object.assign(new Error('dns'), { code: server.answer });
      return server.answer;
    },
  };
  return server;
}

describe('addresses of host names', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('an address is not looked up', async () => {
    const server = nameServer([A]);
    expect(new Host('127.0.0.1', server.lookUp).current()).toEqual({ address: '127.0.0.1', family: 4 });
    expect(new Host('0:0::1', server.lookUp).current()).toEqual({ address: '::1', family: 6 });
    expect(server.asked).toBe(0);
  });

  test('a name is looked up once, and again in the background after five minutes', async () => {
    const server = nameServer([A]);
    const host = new Host('pdu-1', server.lookUp);
    expect(host.current()).toBeUndefined();
    expect(await host.resolve()).toBeUndefined();
    for (let poll = 0; poll < 100; poll++) expect(host.current()).toEqual(A);
    expect(server.asked).toBe(1);
    server.answer = [B];
    vi.advanceTimersByTime(301_000);
    expect(host.current()).toEqual(A);
    await host.resolve();
    expect(host.current()).toEqual(B);
    expect(server.asked).toBe(2);
  });

  test('a name that fails is looked up again after a back-off only', async () => {
    const server = nameServer('ENOTFOUND');
    const host = new Host('pdu-1', server.lookUp);
    expect(await host.resolve()).toBe('no such host name');
    for (let poll = 0; poll < 10; poll++) expect(await host.resolve()).toBe('no such host name');
    expect(server.asked).toBe(1);
    vi.advanceTimersByTime(11_000);
    await host.resolve();
    expect(server.asked).toBe(2);
    server.answer = [A];
    vi.advanceTimersByTime(60_000);
    expect(await host.resolve()).toBeUndefined();
    expect(host.current()).toEqual(A);
  });

  test('the last addresses stay in use while the name server is away', async () => {
    const server = nameServer([A]);
    const host = new Host('pdu-1', server.lookUp);
    await host.resolve();
    server.answer = 'EAI_AGAIN';
    vi.advanceTimersByTime(301_000);
    host.current();
    await host.resolve();
    expect(host.current()).toEqual(A);
  });

  test('a device that does not answer is tried at its next address, and looked up again', async () => {
    const server = nameServer([A, B]);
    const host = new Host('pdu-1', server.lookUp);
    await host.resolve();
    expect(host.current()).toEqual(A);
    host.failed();
    expect(host.current()).toEqual(B);
    host.failed();
    expect(host.current()).toEqual(A);
    expect(server.asked).toBe(1);
    vi.advanceTimersByTime(31_000);
    host.failed();
    expect(server.asked).toBe(2);
  });
});
