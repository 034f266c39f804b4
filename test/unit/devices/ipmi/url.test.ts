import { describe, expect, test } from 'vitest';
import { DeviceUrlError } from '../../../../src/lib/devices/driver.ts';
import { parseIpmiDeviceUrl } from '../../../../src/lib/devices/ipmi/discover.ts';
import { parseIpmiUrl } from '../../../../src/lib/devices/ipmi/url.ts';
import { KwError } from '../../../../src/lib/errors.ts';

const context = (credential?: Record<string, string>) => ({
  resolveSecret(text: string) {
    if (text === '${env:BMC}') return 'p@ss/w%41rd:';
    if (text === '${file:/etc/bmc}') return 'from a file';
    throw new KwError('the environment variable "NONE" is not set');
  },
  credential,
});
const parse = (text: string, credential?: Record<string, string>) => parseIpmiUrl(text, context(credential));

describe('the URL of a BMC', () => {
  test('has a user, a password, a host and a sensor, as in Kwollect', () => {
    expect(parse('ipmisensor://root:calvin@Node-1-admin.domain.com/20')).toEqual({
      scheme: 'ipmisensor',
      host: 'node-1-admin.domain.com',
      port: 623,
      hostPort: 'node-1-admin.domain.com:623',
      login: {
        user: 'root',
        password: 'calvin',
        kg: undefined,
        cipher: undefined,
        privilege: 'user',
        lookUpByName: true,
      },
      target: '20',
      targetOffset: 49,
      endpointKey: expect.any(String),
      safeUrl: 'ipmisensor://root:***@node-1-admin.domain.com:623/20',
    });
  });

  test.each([
    ['ipmisensor://h/Pwr Consumption', 'Pwr Consumption'],
    ['ipmisensor://h/Pwr%20Consumption', 'Pwr Consumption'],
    ['ipmisensor://h/Fan #1?cipher=3', 'Fan #1'],
    ['ipmisensor://h/+3.3V/aux', '+3.3V/aux'],
    ['ipmisensor://h/5%2B', '5+'],
    ['ipmisensor://h/Why%3F', 'Why?'],
    ['ipmisensor://h/100% load', '100% load'],
    ['ipmisensor://h/Temp%C3%A9rature', 'Température'],
    ['ipmisensor://h/a@b:c', 'a@b:c'],
    ['ipmisensor://h/', ''],
    ['ipmisensor://h', ''],
    ['ipmi-dcmi://h/power', 'power'],
  ])('names any sensor: %s', (text, target) => {
    expect(parse(text).target).toBe(target);
    expect(parse(text).host).toBe('h');
  });

  test.each([
    ['ipmisensor://u:p@[::1]:6230/x', '::1', 6230, '[::1]:6230'],
    ['ipmisensor://u:p@[FE80:0:0:0:0:0:0:1]/x', 'fe80::1', 623, '[fe80::1]:623'],
    ['ipmisensor://u:p@192.0.2.1:1/x', '192.0.2.1', 1, '192.0.2.1:1'],
  ])('has an address of either kind: %s', (text, host, port, hostPort) => {
    expect(parse(text)).toMatchObject({ host, port, hostPort });
  });

  test('takes secrets from references, which may hold any character', () => {
    const url = parse(
      'ipmisensor://a%40b:${env:BMC}@h/x?kg=${file:/etc/bmc}&cipher=17&privilege=ADMIN&lookup=privilege',
    );
    expect(url.login).toEqual({
      user: 'a@b',
      password: 'p@ss/w%41rd:',
      kg: Buffer.from('from a file'),
      cipher: 17,
      privilege: 'administrator',
      lookUpByName: false,
    });
    expect(url.safeUrl).toBe(
      'ipmisensor://a%40b:***@h:623/x?kg=***&cipher=17&privilege=ADMIN&lookup=privilege',
    );
  });

  test('takes what it does not say from a named credential', () => {
    const credential = { user: 'kwoll', password: 'kwpass', kg: '0x6b67', privilege: 'operator' };
    expect(parse('ipmisensor://h/x', credential).login).toMatchObject({
      user: 'kwoll',
      password: 'kwpass',
      kg: Buffer.from('kg'),
      privilege: 'operator',
    });
    expect(parse('ipmisensor://root@h/x?privilege=user', credential).login).toMatchObject({
      user: 'root',
      password: '',
      privilege: 'user',
    });
  });

  test('takes a key of zeros for none', () => {
    expect(parse('ipmisensor://h/x?kg=0x0000').login.kg).toBeUndefined();
  });

  test('is one endpoint for all sensors of a login, and another for another login', () => {
    const key = (text: string) => parse(text).endpointKey;
    expect(key('ipmisensor://u:p@h/a')).toBe(key('ipmi-dcmi://u:p@H:623/power'));
    const others = ['v:p@h/a', 'u:q@h/a', 'u:p@i/a', 'u:p@h:624/a', 'u:p@h/a?kg=k', 'u:p@h/a?cipher=3'];
    expect(
      new Set([key('ipmisensor://u:p@h/a'), ...others.map((one) => key(`ipmisensor://${one}`))]).size,
    ).toBe(7);
  });

  test.each([
    ['ipmisensor://u:p@/x', 'the URL names no host', 17],
    ['ipmisensor://u:p@a b/x', 'a host name has letters, digits, dots and hyphens only', 18],
    ['ipmisensor://u:p@[::1/x', 'the [ of an IPv6 address is never closed', 17],
    ['ipmisensor://u:p@h:0/x', 'the port must be a number from 1 to 65535', 19],
    ['ipmisensor://u:p@h/x?cypher=3', 'unknown parameter "cypher"', 21],
    ['ipmisensor://u:p@h/x?cipher=3&cipher=3', 'cipher is given twice', 30],
    ['ipmisensor://u:p@h/x?cipher=', 'cipher has no value', 21],
    ['ipmisensor://u:p@h/x?cipher=4', 'unknown cipher "4"', 28],
    ['ipmisensor://u:p@h/x?privilege=root', 'unknown privilege "root"', 31],
    ['ipmisensor://u:p@h/x?kg=0x123', 'kg is not a row of pairs of hexadecimal digits behind 0x', 24],
    [`ipmisensor://u:p@h/x?kg=${'k'.repeat(21)}`, 'kg has 21 bytes, and at most 20 are possible', 24],
    [`ipmisensor://u:${'p'.repeat(21)}@h/x`, 'the password has 21 bytes, and IPMI knows at most 20', 15],
    [`ipmisensor://${'u'.repeat(17)}:p@h/x`, 'the user has 17 bytes, and IPMI knows at most 16', 13],
    ['ipmisensor://u:p%00@h/x', 'the password contains a NUL character', 15],
    ['ipmisensor://u:${env:NONE}@h/x', 'the environment variable "NONE" is not set', 15],
    ['ipmi://u:p@h/x', 'not the URL of a BMC', 0],
    ['ipmisensor:u', 'the URL has no ://', 0],
  ])('is refused at the place of its mistake: %s', (text, message, offset) => {
    let error: unknown;
    try {
      parse(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(DeviceUrlError);
    expect({ message: (error as DeviceUrlError).message, offset: (error as DeviceUrlError).offset }).toEqual({
      message,
      offset,
    });
  });
});

describe('what a discovery writes of the URL of a BMC', () => {
  test.each([
    ['u:typed@h', 'u:${env:BMC_PASSWORD}@h/', ''],
    ['u:${env:BMC}@h:6230/?kg=typed&cipher=17', 'u:${env:BMC}@h:6230/', '?kg=${env:BMC_KG}&cipher=17'],
    ['h?cipher=3&k%67=typed', 'h/', '?cipher=3&kg=${env:BMC_KG}'],
    ['h/?%6B%67=typed', 'h/', '?kg=${env:BMC_KG}'],
    ['u:${file:/etc/bmc}@h?kg=${file:/etc/bmc}', 'u:${file:/etc/bmc}@h/', '?kg=${file:/etc/bmc}'],
  ])('has references only where something is secret: %s', (text, before, behind) => {
    expect(parseIpmiDeviceUrl(`ipmisensor://${text}`, context()).written).toEqual({ before, behind });
  });
});
