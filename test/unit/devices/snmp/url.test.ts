// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references look like ${env:NAME}
import { describe, expect, test } from 'vitest';
import { DeviceUrlError, type UrlContext } from '../../../../src/lib/devices/driver.ts';
import { joinOid, parseSnmpDeviceUrl, parseSnmpUrl } from '../../../../src/lib/devices/snmp/url.ts';
import { KwError } from '../../../../src/lib/errors.ts';

const SECRETS: Record<string, string> = {
  '${env:COMMUNITY}': 'se%41cret@:/',
  '${file:/etc/kw/key}': 'long enough',
};
const context: UrlContext = {
  resolveSecret: (text) =>
    text.replace(/\$\{[^}]*\}/g, (reference) => {
      const secret = SECRETS[reference];
      if (secret === undefined) throw new KwError(`${reference} is not set`, { hint: 'set it' });
      return secret;
    }),
};

function parse(text: string, credential?: Record<string, string>) {
  return parseSnmpUrl(text, credential ? { ...context, credential } : context);
}

function failure(text: string, credential?: Record<string, string>): DeviceUrlError {
  try {
    parse(text, credential);
  } catch (error) {
    if (error instanceof DeviceUrlError) return error;
    throw error;
  }
  throw new Error(`${text} was read`);
}

describe("Kwollect's URLs", () => {
  test('community, host, OID', () => {
    expect(
      parse('snmp://public@node-1-admin.domain.com/1.3.6.1.4.1.674.10892.5.4.600.60.1.7.1.1'),
    ).toMatchObject({
      host: 'node-1-admin.domain.com',
      port: 161,
      version: '2c',
      community: 'public',
      oid: ['1.3.6.1.4.1.674.10892.5.4.600.60.1.7.1.1'],
      hostPort: 'node-1-admin.domain.com:161',
      safeUrl: 'snmp://***@node-1-admin.domain.com/1.3.6.1.4.1.674.10892.5.4.600.60.1.7.1.1',
    });
  });

  test('snmpv1 is SNMP v1', () => {
    expect(parse('snmpv1://public@pdu/1.3')).toMatchObject({
      scheme: 'snmp',
      version: '1',
      safeUrl: 'snmpv1://***@pdu/1.3',
      endpointKey: parse('snmp://public@pdu/1.3?version=1').endpointKey,
    });
    expect(failure('snmpv1://public@pdu/1.3?version=2c')).toMatchObject({
      message: 'snmpv1:// is SNMP v1',
      offset: 32,
      hint: 'write snmp://',
    });
  });

  test('a template behind the OID', () => {
    const { oid } = parse(
      'snmp://public@127.0.0.1/1.3.6.1.2.1.1.9.1.4.{{ 1.3.6.1.2.1.1.9.1.3 == The SNMP Management Architecture MIB. }}',
    );
    expect(oid).toEqual([
      '1.3.6.1.2.1.1.9.1.4',
      { prefix: '1.3.6.1.2.1.1.9.1.3', text: 'The SNMP Management Architecture MIB.' },
    ]);
    expect(joinOid(oid, () => '7')).toBe('1.3.6.1.2.1.1.9.1.4.7');
    expect(joinOid(oid, () => undefined)).toBeUndefined();
  });

  test('templates anywhere, several, without dots or blanks', () => {
    const { oid } = parse('snmp://public@sw/1.3.6{{1.3.1==a}}.5.{{1.3.2 == b == c}}6');
    expect(oid).toEqual([
      '1.3.6',
      { prefix: '1.3.1', text: 'a' },
      '5',
      { prefix: '1.3.2', text: 'b == c' },
      '6',
    ]);
    expect(joinOid(oid, ({ text }) => (text === 'a' ? '10.20' : '30'))).toBe('1.3.6.10.20.5.30.6');
  });

  test('a text with every character that a URL cuts at', () => {
    const { oid } = parse('snmp://public@sw/1.3.6.{{ 1.3.1 == Gi1/0/1 #2 100%? a&b=c %2B }}?version=1');
    expect(oid[1]).toEqual({ prefix: '1.3.1', text: 'Gi1/0/1 #2 100%? a&b=c +' });
  });

  test('the community is decoded, with every character in it', () => {
    expect(parse('snmp://p%40ss%2Fw%C3%B6rd:%25@h/1.3').community).toBe('p@ss/wörd:%');
    expect(parse('snmp://a@b@h/1.3').community).toBe('a@b');
    expect(parse('SNMP://public@HOST/.1.3.6')).toMatchObject({
      host: 'host',
      oid: ['1.3.6'],
      scheme: 'snmp',
    });
  });
});

describe('what kw adds', () => {
  test('ports, IPv6, versions', () => {
    expect(parse('snmp://public@h:1161/1.3?version=1')).toMatchObject({ port: 1161, version: '1' });
    expect(parse('snmp://public@[2001:DB8:0:0::1]:1161/1.3')).toMatchObject({
      host: '2001:db8::1',
      port: 1161,
      hostPort: '[2001:db8::1]:1161',
    });
    expect(parse('snmp://public@[::1]/1.3')).toMatchObject({ host: '::1', port: 161 });
  });

  test('secrets from elsewhere, taken as they are', () => {
    expect(parse('snmp://${env:COMMUNITY}@h/1.3').community).toBe('se%41cret@:/');
    expect(parse('snmp://${file:/etc/kw/key}@h/1.3').community).toBe('long enough');
  });

  test('v3 in all levels', () => {
    expect(parse('snmp://kw@h/1.3?version=3').user).toEqual({
      name: 'kw',
      level: 'noAuthNoPriv',
      context: '',
    });
    expect(parse('snmp://kw:authpass123@h/1.3?version=3&auth=SHA-256').user).toEqual({
      name: 'kw',
      level: 'authNoPriv',
      auth: { protocol: 'sha256', key: 'authpass123' },
      context: '',
    });
    expect(
      parse(
        'snmp://h/1.3?version=3&user=kw&level=authPriv&auth=sha512&auth_key=${file:/etc/kw/key}&priv=aes256&priv_key=p%26ssword1&context=r%20a',
      ).user,
    ).toEqual({
      name: 'kw',
      level: 'authPriv',
      auth: { protocol: 'sha512', key: 'long enough' },
      priv: { protocol: 'aes256', key: 'p&ssword1' },
      context: 'r a',
    });
  });

  test('a named credential fills what the URL leaves out', () => {
    expect(parse('snmp://h/1.3', { community: 'c', version: '1' })).toMatchObject({
      community: 'c',
      version: '1',
    });
    expect(parse('snmp://own@h/1.3', { community: 'c' }).community).toBe('own');
    const fields = { version: '3', user: 'kw', auth: 'sha1', auth_key: 'authpass123' };
    expect(parse('snmp://h/1.3', fields).user?.auth).toEqual({ protocol: 'sha1', key: 'authpass123' });
  });

  test('no secret in what is shown', () => {
    const { safeUrl } = parse(
      'snmp://kw:authpass123@h/1.3?version=3&auth=sha1&priv=aes128&priv_key=privpass123&context=x',
    );
    expect(safeUrl).toBe('snmp://kw:***@h/1.3?version=3&auth=sha1&priv=aes128&priv_key=***&context=x');
    expect(parse('snmp://a@b@h/1.3').safeUrl).toBe('snmp://***@h/1.3');
  });

  test('one session for one endpoint', () => {
    const key = (text: string) => parse(text).endpointKey;
    expect(key('snmp://c@h/1.3.1')).toBe(key('snmp://c@H:161/1.3.2'));
    expect(
      new Set(['snmp://c@h/1.3', 'snmp://d@h/1.3', 'snmp://c@h/1.3?version=1', 'snmp://c@h:162/1.3'].map(key))
        .size,
    ).toBe(4);
  });
});

describe('errors say where and what instead', () => {
  test.each([
    ['snmp://public@h/', 'the URL names no OID', 16],
    ['snmp://public@h', 'the URL names no OID', 15],
    ['snmp:///1.3', 'the URL names no host', 7],
    ['snmp://h/1.3', 'the URL names no community', 7],
    ['snmp://public@h:0/1.3', 'the port is not a number from 1 to 65535', 16],
    ['snmp://public@h:/1.3', 'the port is not a number from 1 to 65535', 16],
    ['snmp://public@::1/1.3', 'an IPv6 address stands in brackets', 14, 'write [::1]'],
    ['snmp://public@[::1/1.3', 'the host cannot be read', 14],
    ['snmp://public@[::x]/1.3', 'not an IPv6 address', 15],
    ['snmp://public@h h/1.3', 'a host name has letters, digits, dots and hyphens only', 14],
    [
      'snmp://public@h/1.3.6.ifName.1',
      '"ifName" is not a number',
      22,
      'OIDs are written in numbers; snmptranslate -On NAME gives them',
    ],
    ['snmp://public@h/1.3.%36.', 'the OID ends with a dot', 23],
    [
      'snmp://public@h/1.3.{{ 1.3.1 }}',
      'a template compares an OID with a text',
      22,
      'write {{ oid == text }}',
    ],
    [
      'snmp://public@h/1.3.{{ 1.3.x == a }}',
      '"x" is not a number',
      27,
      'OIDs are written in numbers; snmptranslate -On NAME gives them',
    ],
    ['snmp://public@h/1.3.{{ 1.3.1 == }}', 'the template names no text', 29],
    ['snmp://public@h/1.3.{{ 1.3.1 == a', 'the template is not closed', 20, 'add }}'],
    [
      'snmp://public@h/1.3.{{ 1.3.1 == a }}.y',
      '"y" is not a number',
      37,
      'OIDs are written in numbers; snmptranslate -On NAME gives them',
    ],
    ['snmp://public@h/1.3?vers=1', 'unknown parameter "vers"', 20],
    ['snmp://public@h/1.3?version=4', 'unknown version "4"', 28, 'write one of 1, 2, 3, 2c'],
    ['snmp://public@h/1.3?version=', 'version has no value', 20],
    ['snmp://public@h/1.3?version=1&version=1', 'version is given twice', 30],
    ['snmp://public@h/1.3?auth=sha1', 'this parameter is for SNMP v3 only', 25, 'add version=3'],
    ['snmp://public@h/1.3?max_oids=0', 'max_oids is not a number from 1 to 1000', 29],
    ['snmp://h/1.3?version=3', 'SNMP v3 needs a user', 7],
    ['snmp://kw@h/1.3?version=3&auth=sha3', 'unknown auth "sha3"', 31],
    ['snmp://kw:authpass123@h/1.3?version=3', 'authNoPriv needs auth, the protocol', 10],
    ['snmp://kw:short@h/1.3?version=3&auth=sha1', 'auth_key is shorter than 8 characters', 10],
    [
      'snmp://kw@h/1.3?version=3&level=authPriv&auth=sha1&auth_key=authpass123',
      'authPriv needs priv, the protocol',
      0,
    ],
    ['snmp://${env:NOTHING}@h/1.3', '${env:NOTHING} is not set', 7, 'set it'],
    ['snmp://${env:X@h/1.3', 'the reference is not closed', 7, 'add a }'],
    [`snmp://${'c'.repeat(300)}@h/1.3`, 'the community is longer than 255 bytes', 7],
    ['http://public@h/1.3', 'not an SNMP URL', 0],
  ])('%s', (text, message, offset, hint?: string) => {
    const error = failure(text);
    expect({ message: error.message, offset: error.offset }).toEqual({ message, offset });
    if (hint !== undefined) expect(error.hint).toBe(hint);
  });

  test('a very long URL is refused at once', () => {
    expect(failure(`snmp://public@h/${'1.'.repeat(1e6)}`).message).toContain('at most 4096');
  });
});

describe('the URL of a device', () => {
  const device = (text: string, credential?: Record<string, string>) =>
    parseSnmpDeviceUrl(text, credential ? { ...context, credential } : context);
  const written = (text: string, credential?: Record<string, string>) => {
    const { before = '', behind = '' } = device(text, credential).written ?? {};
    return `${before}1.3${behind}`;
  };

  test('needs no OID, and ignores one that is there', () => {
    expect(device('snmp://public@pdu-1')).toMatchObject({
      hostPort: 'pdu-1:161',
      community: 'public',
      oid: [],
    });
    expect(device('snmp://public@pdu-1/1.3.6.{{ 1.3 == x }}?version=1')).toMatchObject({
      version: '1',
      oid: [],
    });
    expect(parse('snmp://public@pdu-1/1.3').written).toBeUndefined();
  });

  test('is written without what was typed as a secret', () => {
    expect(written('snmp://public@pdu-1')).toBe('snmp://public@pdu-1/1.3');
    expect(written('snmp://s3cret@[2001:db8::1]:1161/')).toBe(
      'snmp://${env:SNMP_COMMUNITY}@[2001:db8::1]:1161/1.3',
    );
    expect(written('snmp://${env:COMMUNITY}@pdu-1?max_oids=8')).toBe(
      'snmp://${env:COMMUNITY}@pdu-1/1.3?max_oids=8',
    );
    expect(written('snmpv1://s3cret@pdu-1')).toBe('snmpv1://${env:SNMP_COMMUNITY}@pdu-1/1.3');
    expect(written('snmp://pdu-1', { community: 's3cret' })).toBe('snmp://pdu-1/1.3');
  });

  test('of v3 keeps the user and its protocols, not its keys', () => {
    expect(
      written(
        'snmp://kw@pdu-1?version=3&auth=sha256&auth_key=long-secret&priv=aes&priv_key=${file:/etc/kw/key}',
      ),
    ).toBe(
      'snmp://kw@pdu-1/1.3?version=3&auth=sha256&auth_key=${env:SNMP_AUTH_KEY}&priv=aes&priv_key=${file:/etc/kw/key}',
    );
    expect(written('snmp://kw:long-secret@pdu-1?version=3&auth=sha1')).toBe(
      'snmp://kw:${env:SNMP_AUTH_KEY}@pdu-1/1.3?version=3&auth=sha1',
    );
  });
});
