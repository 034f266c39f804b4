/** URLs of Prometheus pages: what they mean, and where they are wrong. */
import { describe, expect, it } from 'vitest';
import { DeviceUrlError, type UrlContext } from '../../../../src/lib/devices/driver.ts';
import { parsePrometheusUrl } from '../../../../src/lib/devices/prometheus/url.ts';

const PEM = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

const context: UrlContext = {
  resolveSecret(text) {
    if (text === '${env:PASSWORD}') return 'a:b@c/d%41';
    if (text === '${env:TOKEN}') return 'tok.en\n';
    if (text === '${file:/etc/kwollect/ca.pem}') return PEM;
    throw new Error(`cannot read ${text}`);
  },
};

const parse = (text: string, credential?: Record<string, string>) =>
  parsePrometheusUrl(text, { ...context, credential });

const basic = (user: string, password: string) =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

describe('a Prometheus URL', () => {
  it("means in Kwollect's form what it means to Kwollect", () => {
    expect(parse('prometheus://node-1.domain.com:9100/')).toEqual({
      scheme: 'prometheus',
      origin: 'http://node-1.domain.com:9100',
      hostPort: 'node-1.domain.com:9100',
      pagePath: '/metrics',
      names: undefined,
      authorization: undefined,
      ca: undefined,
      insecure: false,
      gzip: false,
      maxBytes: 10_000_000,
      maxSeries: 50_000,
      safeUrl: 'prometheus://node-1.domain.com:9100/',
      endpointKey: expect.any(String),
    });
    expect(parse('prometheus://node-2:9100/node_load1-node_load5-node_load15').names).toEqual([
      'node_load1',
      'node_load5',
      'node_load15',
    ]);
    expect(parse('prometheus://Node-2:9100').names).toBeUndefined();
    expect(parse('prometheus://Node-2:9100').origin).toBe('http://node-2:9100');
    expect(parse('prometheus://n/a--b-a-%2Dc%2fd').names).toEqual(['a', 'b', '-c/d']);
    expect(parse('prometheus://n/[a-b]').names).toEqual(['a', 'b']);
    expect(parse('prometheus://n/[]').names).toBeUndefined();
    expect(parse('prometheus://n/').hostPort).toBe('n:9100');
    expect(parse('prometheus://[2001:DB8::1]:9101/').origin).toBe('http://[2001:db8::1]:9101');
    expect(parse('prometheus+https://[::1]/').origin).toBe('https://[::1]:9100');
  });

  it('takes the page, what goes to the exporter, and bounds from the query', () => {
    const url = parse(
      'prometheus://n:9116/?path=/probe&target=10.0.0.1&module=if_mib&collect[]=cpu&max_bytes=1000&max_series=5&gzip',
    );
    expect(url.pagePath).toBe('/probe?target=10.0.0.1&module=if_mib&collect%5B%5D=cpu');
    expect(url).toMatchObject({ maxBytes: 1000, maxSeries: 5, gzip: true });
    expect(parse('prometheus://n/?path=/a%20b%3Fc=d&x=%20y').pagePath).toBe('/a%20b?c=d&x=%20y');
  });

  it('resolves secrets in user, password, bearer and ca, and shows none', () => {
    const withPassword = parse('prometheus://me:${env:PASSWORD}@n:9100/a-b');
    expect(withPassword.authorization).toBe(basic('me', 'a:b@c/d%41'));
    expect(withPassword.safeUrl).toBe('prometheus://me:***@n:9100/a-b');
    const literal = parse('prometheus://me:p%40ss:w@rd@n:9100/');
    expect(literal.authorization).toBe(basic('me', 'p@ss:w@rd'));
    expect(literal.safeUrl).toBe('prometheus://me:***@n:9100/');
    const bearer = parse('prometheus+https://n/?bearer=${env:TOKEN}&ca=/etc/kwollect/ca.pem&api_key=secret');
    expect(bearer).toMatchObject({ authorization: 'Bearer tok.en', ca: PEM });
    expect(bearer.safeUrl).toBe('prometheus+https://n:9100/?bearer=***&ca=/etc/kwollect/ca.pem&api_key=***');
    const escaped = parse('prometheus://n/?b%65arer=typed&api%5Fk%65y=secret');
    expect(escaped).toMatchObject({ authorization: 'Bearer typed' });
    expect(escaped.safeUrl).toBe('prometheus://n:9100/?b%65arer=***&api%5Fk%65y=***');
    expect(parse('prometheus+https://n/?ca=${file:/etc/kwollect/ca.pem}').ca).toBe(PEM);
    expect(parse('prometheus+https://n/?insecure=true').insecure).toBe(true);
  });

  it('takes a named credential unless the URL has its own', () => {
    expect(parse('prometheus://n/', { user: 'u', password: 'p' }).authorization).toBe(basic('u', 'p'));
    expect(parse('prometheus://n/', { token: 't' }).authorization).toBe('Bearer t');
    expect(parse('prometheus://x:y@n/', { token: 't' }).authorization).toBe(basic('x', 'y'));
  });

  it('shares a session with another choice of names, but not with other credentials or pages', () => {
    const key = (text: string) => parse(text).endpointKey;
    expect(key('prometheus://n:9100/a')).toBe(key('prometheus://N:9100/b-c'));
    expect(key('prometheus://n:9100/')).not.toBe(key('prometheus://u:p@n:9100/'));
    expect(key('prometheus://n:9100/')).not.toBe(key('prometheus://n:9100/?path=/other'));
    expect(key('prometheus://n:9100/')).not.toBe(key('prometheus+https://n:9100/'));
  });

  it.each([
    ['prometheus:/n:9100/', 0, 'the URL has no ://'],
    ['prometheus://', 13, 'the URL names no host'],
    ['prometheus://:9100/', 13, 'the URL names no host'],
    ['prometheus://n o:9100/', 14, 'a host name has letters, digits, dots and hyphens only'],
    ['prometheus://n:0/', 15, 'the port must be a number from 1 to 65535'],
    ['prometheus://n:/', 15, 'the port must be a number from 1 to 65535'],
    ['prometheus://u:p@n:91000/', 19, 'the port must be a number from 1 to 65535'],
    ['prometheus://[::g]:9100/', 14, 'this is no IPv6 address'],
    ['prometheus://[::1:9100/', 13, 'the [ of an IPv6 address is never closed'],
    ['prometheus://[::1]9100/', 18, 'only a port may follow the address'],
    ['prometheus://n/a#b', 16, 'a URL may not contain #'],
    ['prometheus://n/a-b%2', 18, 'a % must be followed by two hexadecimal digits of valid UTF-8'],
    ['prometheus://u:${env:NO}@n/', 15, 'cannot read ${env:NO}'],
    ['prometheus://n/?path=metrics', 21, 'path must begin with /'],
    ['prometheus://n/?max_series=many', 27, 'max_series must be a whole number of at least 1'],
    ['prometheus+https://n/?insecure=maybe', 31, 'insecure must be true or false'],
    ['prometheus+https://n/?ca=${env:TOKEN}', 25, 'ca names a file without a PEM certificate'],
    ['prometheus://n/?insecure=true', 16, 'ca and insecure are for prometheus+https:// only'],
    ['prometheus://u@n/?bearer=t', 13, 'the URL has both a user and a bearer token'],
    ['prometheus://n/?bearer=a%0Ab', 0, 'the bearer token contains characters that HTTP does not allow'],
  ])('says what is wrong with %s', (text, offset, message) => {
    let error: unknown;
    try {
      parse(text);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(DeviceUrlError);
    expect({ message: (error as Error).message, offset: (error as DeviceUrlError).offset }).toEqual({
      message,
      offset,
    });
  });
});
