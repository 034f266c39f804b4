import { describe, expect, test } from 'vitest';
import { DeviceUrlError, type UrlContext } from '../../../../src/lib/devices/driver.ts';
import { parseRedfishDeviceUrl, parseRedfishUrl } from '../../../../src/lib/devices/redfish/url.ts';

const CONTEXT: UrlContext = {
  resolveSecret: (text) => (text === '${env:PW}' ? 's3/c@ret' : '-----BEGIN CERTIFICATE-----'),
};
const parse = (text: string, context = CONTEXT) => parseRedfishUrl(text, context);

function failure(text: string): DeviceUrlError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof DeviceUrlError) return error;
    throw error;
  }
  throw new Error(`${text} was read`);
}

describe('a Redfish URL', () => {
  test('names a BMC, a resource and a value of it', () => {
    expect(
      parse('redfish://root:a%40b@BMC-1/Chassis/1/Power#PowerControl/0/PowerConsumedWatts'),
    ).toMatchObject({
      origin: 'https://bmc-1:443',
      hostPort: 'bmc-1:443',
      login: { user: 'root', password: 'a@b' },
      auth: 'session',
      insecure: false,
      target: {
        kind: 'value',
        path: '/redfish/v1/Chassis/1/Power',
        pointer: ['PowerControl', '0', 'PowerConsumedWatts'],
      },
      safeUrl: 'redfish://root:***@bmc-1:443/Chassis/1/Power#PowerControl/0/PowerConsumedWatts',
    });
  });

  test.each([
    ['redfish://h/redfish/v1/Chassis/1#a', '/redfish/v1/Chassis/1', ['a']],
    ['redfish://h/Chassis/1/#/a/b', '/redfish/v1/Chassis/1', ['a', 'b']],
    ['redfish://h/Chassis/Sys tem#a~1b/c~0d/%7E1', '/redfish/v1/Chassis/Sys%20tem', ['a/b', 'c~d', '/']],
    ['redfish://h/Oem/%C3%A9#%C3%A9', '/redfish/v1/Oem/%C3%A9', ['é']],
  ])('%s is %s %j', (text, path, pointer) => {
    expect(parse(text).target).toEqual({ kind: 'value', path, pointer });
  });

  test("is Kwollect's https:// as well, with its own way into the resource", () => {
    const url = parse(
      'https://root:p%40ss@bmc-1/redfish/v1/Chassis/1/Power/FastPowerMeter?insecure#PowerDetail[-1].CpuWatts',
    );
    expect(url).toMatchObject({
      scheme: 'redfish',
      target: {
        kind: 'value',
        path: '/redfish/v1/Chassis/1/Power/FastPowerMeter',
        pointer: ['PowerDetail', '-1', 'CpuWatts'],
      },
      safeUrl:
        'https://root:***@bmc-1:443/redfish/v1/Chassis/1/Power/FastPowerMeter?insecure#PowerDetail[-1].CpuWatts',
    });
    expect(url.endpointKey).toBe(parse('redfish://root:p%40ss@bmc-1/power?insecure').endpointKey);
  });

  test.each([
    ['Temperatures[0].ReadingCelsius', ['Temperatures', '0', 'ReadingCelsius']],
    ['$.Temperatures[10]', ['Temperatures', '10']],
    ["['a.b'][\"it's\"][-2]", ['a.b', "it's", '-2']],
    ['Oem.Hpe@x.Average Power', ['Oem', 'Hpe@x', 'Average Power']],
  ])('goes %s', (path, pointer) => {
    expect(parse(`https://h/redfish/v1/a#${encodeURIComponent(path)}`).target).toMatchObject({ pointer });
  });

  test.each([
    ['a[*].b', 1],
    ['a..b', 1],
    ['a.', 1],
    ['a[0', 1],
    ['[0]b', 3],
    ["a[?(@.b=='c')]", 1],
    ['*', 0],
  ])('refuses %s, which may be many', (path, at) => {
    const error = failure(`https://h/redfish/v1/a#${path.replace('?', '%3F')}`);
    expect(error.message).toBe('this is no path to one value of a JSON document');
    expect(error.offset).toBe('https://h/redfish/v1/a#'.length + at);
  });

  test('refuses https:// for anything but BMCs', () => {
    expect(failure('https://h:9100/metrics')).toMatchObject({
      message: 'https:// is for resources of BMCs',
      hint: 'write https://host/redfish/v1/Chassis/..., or prometheus+https://host:port/ for an exporter',
    });
  });

  test('may ask for a group', () => {
    expect(parse('redfish://h/power').target).toEqual({ kind: 'group', group: 'power' });
    expect(parse('redfish://h/temperatures/?insecure').target).toEqual({
      kind: 'group',
      group: 'temperatures',
    });
  });

  test('has its parameters before the #, and shares a session only with the same', () => {
    const url = parse('redfish+http://u:${env:PW}@[::1]:8000/power?auth=basic&max_bytes=5000');
    expect(url).toMatchObject({
      origin: 'http://[::1]:8000',
      auth: 'basic',
      maxBytes: 5000,
      login: { user: 'u', password: 's3/c@ret' },
      safeUrl: 'redfish+http://u:***@[::1]:8000/power?auth=basic&max_bytes=5000',
    });
    const key = (text: string) => parse(text).endpointKey;
    expect(key('redfish://u:p@h/power')).toBe(key('redfish://u:p@h:443/Chassis/1#a'));
    for (const other of ['u:q@h', 'v:p@h', 'u:p@h:444', 'u:p@g'])
      expect(key(`redfish://${other}/power`)).not.toBe(key('redfish://u:p@h/power'));
    expect(key('redfish://u:p@h/power?insecure')).not.toBe(key('redfish://u:p@h/power'));
  });

  test('takes user and password of a named credential unless it has its own', () => {
    const context = { ...CONTEXT, credential: { user: 'c', password: 'd' } };
    expect(parse('redfish://h/power', context).login).toEqual({ user: 'c', password: 'd' });
    expect(parse('redfish://u:p@h/power', context).login).toEqual({ user: 'u', password: 'p' });
    expect(parse('redfish://u@h/power', context).login).toEqual({ user: 'u', password: '' });
  });

  test.each([
    ['redfish://u:p@h', 15, 'the URL names no resource'],
    ['redfish://u:p@h/redfish/v1/', 15, 'the URL names no resource'],
    ['redfish://h/Chassis/1', 21, 'the URL does not say which value of the resource'],
    ['redfish://h/Chassis/1#', 22, 'there is nothing behind the #'],
    ['redfish://h/Chassis/1#a?insecure', 23, 'parameters stand before the #'],
    ['redfish://h/power#a', 17, '/power stands for many values and takes no pointer'],
    ['redfish://h/Chassis/../x#a', 11, 'this is no path of a resource'],
    ['redfish://h/Chassis/%2e%2e/x#a', 11, 'this is no path of a resource'],
    ['redfish://h/power?tls=no', 18, 'unknown parameter "tls"'],
    ['redfish://h/power?auth=digest', 23, 'auth must be session or basic'],
    ['redfish+http://h/power?insecure', 23, 'ca and insecure are for redfish:// only'],
    ['redfish://u:p#1@h/power', 13, 'a # in a user or a password is written %23'],
    ['redfish://h:70000/power', 12, 'the port must be a number from 1 to 65535'],
  ])('%s is refused at its place', (text, offset, message) => {
    const error = failure(text);
    expect([error.message, error.offset]).toEqual([message, offset]);
  });

  test('of a whole BMC needs no resource', () => {
    expect(parseRedfishDeviceUrl('redfish://u:p@h', CONTEXT).target).toEqual({ kind: 'device' });
    expect(parseRedfishDeviceUrl('redfish://u:p@h/Chassis/1#x', CONTEXT).target).toEqual({ kind: 'device' });
  });
});
