/** From settings to the server that is asked, and results on their way from it. */
import { describe, expect, it } from 'vitest';
import { kwServer, type ServerSettings } from '../../../src/lib/remote/server.ts';
import { fromWire, toWire } from '../../../src/lib/remote/wire.ts';

const server = (settings: ServerSettings, env: NodeJS.ProcessEnv = {}) => {
  const { base, label, authorization } = kwServer(settings, env);
  return { base: base.href, label, authorization };
};

describe('the server', () => {
  it.each([
    ['https://kw.example.org', 'https://kw.example.org/', 'https://kw.example.org'],
    ['https://h:8443/site/api', 'https://h:8443/site/api/', 'https://h:8443/site/api'],
    ['https://h/api/', 'https://h/api/', 'https://h/api'],
    ['http://127.0.0.1:9843', 'http://127.0.0.1:9843/', 'http://127.0.0.1:9843'],
  ])('%s', (url, base, label) => {
    expect(server({ url, token: 't' })).toEqual({ base, label, authorization: 'Bearer t' });
  });

  it('takes user and password for a proxy, and shows neither', () => {
    expect(server({ url: 'https://alice:p%40ss@h/api' })).toEqual({
      base: 'https://h/api/',
      label: 'https://h/api',
      authorization: `Basic ${Buffer.from('alice:p@ss').toString('base64')}`,
    });
    expect(server({ url: 'https://alice:secret@h', token: 't' }).authorization).toBe('Bearer t');
  });

  it.each([
    ['kw.example.org', 'KW_URL is no HTTP address'],
    ['ftp://h', 'KW_URL is no HTTP address'],
    ['https://h/?token=x', 'KW_URL holds more than an address and a path'],
  ])('is not %s', (url, message) => {
    expect(() => server({ url })).toThrow(message);
  });

  it('is given no token that others could read or that breaks a header', () => {
    const clear = { url: 'http://kw.example.org', token: 'secret' };
    expect(() => server(clear)).toThrow('is not encrypted');
    expect(server(clear, { KW_INSECURE_HTTP: '1' }).authorization).toBe('Bearer secret');
    expect(server({ url: 'http://kw.example.org' }).authorization).toBeUndefined();
    expect(() => server({ url: 'https://h', token: 'a\nb' })).toThrow(
      'the token holds characters that no token has',
    );
  });
});

describe('results', () => {
  it('keep what JSON has not', () => {
    const result = {
      absent: undefined,
      numbers: [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 1.5],
      nested: [{ a: undefined, b: null, c: 'NaN', d: true }],
    };
    const back = fromWire(JSON.parse(JSON.stringify(toWire(result))));
    expect(back).toStrictEqual(result);
  });
});
