/**
 * SNMP URLs: Kwollect's `snmp://community@host/oid` with templates, and what kw adds to it: a port, IPv6,
 * SNMP v1 and v3, references to secrets. Parsed by hand, since a template may hold any character and an
 * error must name its column.
 *
 *   snmp://community@host[:port]/oid[?version=1|2c|3&...]
 *   snmpv1://community@host/oid                     (Kwollect's form of version=1)
 *   snmp://user@host/oid?version=3&auth=sha256&auth_key=...&priv=aes128&priv_key=...
 *   snmp://community@host/oid.{{ prefix == text }}
 */
import { isIPv6 } from 'node:net';
import { KwError } from '../../errors.ts';
import type { DeviceUrl, UrlContext } from '../driver.ts';
import { DeviceUrlError } from '../driver.ts';
import { writableSecret } from '../naming.ts';
import { canonicalIPv6 } from '../shared/ipAddress.ts';
import { decodeLoosely } from '../shared/urlParts.ts';
import { OidSyntaxError, parseOid } from './oid.ts';

const DEFAULT_PORT = 161;
export const URL_FORM = 'snmp://community@host[:port]/oid[?version=1|2c|3&...]';

export type SnmpVersion = '1' | '2c' | '3';
export type AuthProtocol = 'md5' | 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512';
/** `aes256` extends short keys as net-snmp does (Blumenthal's draft), `aes256c` as Cisco does (Reeder's). */
export type PrivProtocol = 'aes128' | 'aes256' | 'aes256c';
export type SecurityLevel = 'noAuthNoPriv' | 'authNoPriv' | 'authPriv';

/** An SNMP v3 user of the user-based security model (RFC 3414). */
export interface UsmUser {
  readonly name: string;
  readonly level: SecurityLevel;
  readonly auth?: { readonly protocol: AuthProtocol; readonly key: string };
  readonly priv?: { readonly protocol: PrivProtocol; readonly key: string };
  readonly context: string;
}

/** `{{ prefix == text }}`: stands for the index of the row of `prefix` whose value is `text`. */
export interface OidTemplate {
  readonly prefix: string;
  readonly text: string;
}

export interface SnmpUrl extends DeviceUrl {
  readonly scheme: 'snmp';
  /** Lower case; IPv6 without brackets, in its shortest form. */
  readonly host: string;
  readonly port: number;
  readonly version: SnmpVersion;
  /** v1 and v2c. */
  readonly community: string | undefined;
  /** v3. */
  readonly user: UsmUser | undefined;
  /** Most OIDs in one PDU, for agents that lose big ones. */
  readonly maxOids: number;
  /** What is asked for: texts to be joined, and templates to be resolved between them. */
  readonly oid: readonly (string | OidTemplate)[];
  /** Of a device URL only: what stands before and behind the OID when it is written into a file, without secrets. */
  readonly written?: { readonly before: string; readonly behind: string };
}

const AUTH_PROTOCOLS: Readonly<Record<string, AuthProtocol>> = {
  md5: 'md5',
  sha: 'sha1',
  sha1: 'sha1',
  sha224: 'sha224',
  sha256: 'sha256',
  sha384: 'sha384',
  sha512: 'sha512',
};
const PRIV_PROTOCOLS: Readonly<Record<string, PrivProtocol>> = {
  aes: 'aes128',
  aes128: 'aes128',
  aes256: 'aes256',
  aes256c: 'aes256c',
};
const LEVELS: readonly SecurityLevel[] = ['noAuthNoPriv', 'authNoPriv', 'authPriv'];
/** What may follow `?`; the same names are the fields of a named credential (plus `community`). */
const PARAMETERS = [
  'version',
  'user',
  'level',
  'auth',
  'auth_key',
  'priv',
  'priv_key',
  'context',
  'max_oids',
] as const;
const V3_ONLY = ['user', 'level', 'auth', 'auth_key', 'priv', 'priv_key', 'context'];
const SECRET_PARAMETERS = ['auth_key', 'priv_key'];
/** RFC 3414 section 11.2. */
const MIN_KEY_LENGTH = 8;
const DEFAULT_MAX_OIDS = 64;
const MAX_OIDS = 1000;
const MAX_URL_LENGTH = 4096;

/** A piece of the URL after decoding, with the place where it began. */
interface Field {
  readonly text: string;
  readonly offset: number;
}

/** @throws DeviceUrlError */
export function parseSnmpUrl(text: string, context: UrlContext): SnmpUrl {
  return parse(text, context, true);
}

/** As parseSnmpUrl, but the OID may be missing. @throws DeviceUrlError */
export function parseSnmpDeviceUrl(text: string, context: UrlContext): SnmpUrl {
  return parse(text, context, false);
}

function parse(text: string, context: UrlContext, needsOid: boolean): SnmpUrl {
  if (text.length > MAX_URL_LENGTH)
    throw new DeviceUrlError(`the URL has ${text.length} characters, and at most ${MAX_URL_LENGTH} are read`);
  const scheme = /^snmp(v1)?:\/\//i.exec(text);
  if (!scheme) throw new DeviceUrlError('not an SNMP URL', 0, `write ${URL_FORM}`);
  const authorityStart = scheme[0].length;
  const authorityEnd = endOfAuthority(text, authorityStart);
  const pathEnd = endOfPath(text, authorityEnd);

  const { userinfo, hostStart } = splitUserinfo(text, authorityStart, authorityEnd);
  const { host, port, hostPort } = parseHost(text, hostStart, authorityEnd);
  const parameters = parseParameters(text, pathEnd);
  const oid = needsOid ? parsePath(text, authorityEnd, pathEnd) : [];
  const settings = new Settings(parameters, context);
  const version = settings.choice('version', VERSIONS) ?? (scheme[1] ? '1' : '2c');
  if (scheme[1] && version !== '1')
    throw new DeviceUrlError('snmpv1:// is SNMP v1', parameters.get('version')?.offset, 'write snmp://');

  let community: string | undefined;
  let user: UsmUser | undefined;
  if (version === '3') {
    user = parseUser(settings, userinfo, authorityStart);
  } else {
    const foreign = V3_ONLY.map((name) => parameters.get(name)).find((field) => field !== undefined);
    if (foreign)
      throw new DeviceUrlError('this parameter is for SNMP v3 only', foreign.offset, 'add version=3');
    community = parseCommunity(settings, userinfo, authorityStart);
  }
  const maxOids = parseMaxOids(settings);
  return {
    scheme: 'snmp',
    host,
    port,
    hostPort,
    version,
    community,
    user,
    maxOids,
    oid,
    endpointKey: JSON.stringify([host, port, version, community, user, maxOids]),
    safeUrl: safeText(text, authorityStart, hostStart, pathEnd, version === '3'),
    ...(!needsOid && {
      written: {
        before: `${text.slice(0, authorityStart)}${writableUser(userinfo, version)}${text.slice(hostStart, authorityEnd)}/`,
        behind: text.slice(pathEnd).replace(SECRETS, (_, name: string, secret: string) => {
          return `${name}=${writableSecret(secret, `SNMP_${name.toUpperCase()}`)}`;
        }),
      },
    }),
  };
}

const VERSIONS: Readonly<Record<string, SnmpVersion>> = { '1': '1', '2c': '2c', '2': '2c', '3': '3' };

/** The first `/`, `?` or `#` that is not inside a `${...}` reference, which may hold a path. */
function endOfAuthority(text: string, start: number): number {
  let position = start;
  while (position < text.length) {
    if (text.startsWith('${', position)) {
      const close = text.indexOf('}', position);
      if (close === -1) throw new DeviceUrlError('the reference is not closed', position, 'add a }');
      position = close + 1;
      continue;
    }
    if ('/?#'.includes(text[position] as string)) break;
    position++;
  }
  return position;
}

/** The `?` that begins the parameters: one inside `{{ }}` belongs to the template. */
function endOfPath(text: string, start: number): number {
  let position = start;
  while (position < text.length) {
    if (text.startsWith('{{', position)) {
      const close = text.indexOf('}}', position);
      if (close === -1) throw new DeviceUrlError('the template is not closed', position, 'add }}');
      position = close + 2;
      continue;
    }
    if (text[position] === '?') break;
    position++;
  }
  return position;
}

function splitUserinfo(text: string, start: number, end: number): { userinfo: string; hostStart: number } {
  const at = text.lastIndexOf('@', end - 1);
  if (at < start) return { userinfo: '', hostStart: start };
  return { userinfo: text.slice(start, at), hostStart: at + 1 };
}

function parseHost(
  text: string,
  start: number,
  end: number,
): { host: string; port: number; hostPort: string } {
  const authority = text.slice(start, end);
  if (isIPv6(authority))
    throw new DeviceUrlError('an IPv6 address stands in brackets', start, `write [${authority}]`);
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(authority);
  if (!match) throw new DeviceUrlError('the host cannot be read', start);
  const [, ipv6, name, portText] = match;
  let host = (name ?? '').toLowerCase();
  if (ipv6 !== undefined) {
    if (!isIPv6(ipv6)) throw new DeviceUrlError('not an IPv6 address', start + 1);
    host = canonicalIPv6(ipv6);
  }
  if (host === '') throw new DeviceUrlError('the URL names no host', start, `write ${URL_FORM}`);
  if (!/^[\p{L}\p{N}._%:-]+$/u.test(host))
    throw new DeviceUrlError('a host name has letters, digits, dots and hyphens only', start);
  let port = DEFAULT_PORT;
  if (portText !== undefined) {
    port = /^[0-9]{1,5}$/.test(portText) ? Number(portText) : 0;
    if (port < 1 || port > 65_535)
      throw new DeviceUrlError('the port is not a number from 1 to 65535', end - portText.length);
  }
  return { host, port, hostPort: `${host.includes(':') ? `[${host}]` : host}:${port}` };
}

function parseParameters(text: string, start: number): Map<string, Field> {
  const parameters = new Map<string, Field>();
  let position = start + 1;
  while (position < text.length) {
    const ampersand = text.indexOf('&', position);
    const end = ampersand === -1 ? text.length : ampersand;
    const equals = text.indexOf('=', position);
    const nameEnd = equals === -1 || equals > end ? end : equals;
    const name = text.slice(position, nameEnd);
    if (!PARAMETERS.some((known) => known === name))
      throw new DeviceUrlError(
        `unknown parameter "${name.slice(0, 40)}"`,
        position,
        `known ones: ${PARAMETERS.join(', ')}`,
      );
    if (parameters.has(name)) throw new DeviceUrlError(`${name} is given twice`, position);
    const valueStart = Math.min(nameEnd + 1, end);
    if (valueStart === end) throw new DeviceUrlError(`${name} has no value`, position);
    parameters.set(name, {
      text: decodeLoosely({ text: text.slice(valueStart, end), offset: valueStart }),
      offset: valueStart,
    });
    position = end + 1;
  }
  return parameters;
}

/** Parameters of the URL, else fields of the named credential. */
class Settings {
  readonly #parameters: ReadonlyMap<string, Field>;
  readonly #context: UrlContext;

  constructor(parameters: ReadonlyMap<string, Field>, context: UrlContext) {
    this.#parameters = parameters;
    this.#context = context;
  }

  get(name: string): Field | undefined {
    const field = this.#parameters.get(name);
    if (field) return { text: this.resolve(field), offset: field.offset };
    const text = this.#context.credential?.[name];
    return text === undefined ? undefined : { text, offset: 0 };
  }

  choice<T>(name: string, choices: Readonly<Record<string, T>>): T | undefined {
    const field = this.get(name);
    if (!field) return undefined;
    const key = field.text.toLowerCase().replaceAll('-', '');
    if (!Object.hasOwn(choices, key))
      throw new DeviceUrlError(
        `unknown ${name} "${field.text.slice(0, 40)}"`,
        field.offset,
        `write one of ${Object.keys(choices).join(', ')}`,
      );
    return choices[key];
  }

  /** Replaces `${env:NAME}` and `${file:PATH}`. */
  resolve(field: Field): string {
    if (!field.text.includes('${')) return field.text;
    try {
      return this.#context.resolveSecret(field.text);
    } catch (error) {
      if (error instanceof KwError)
        throw new DeviceUrlError(error.message, field.offset, error.hint, { cause: error });
      throw error;
    }
  }
}

function parseCommunity(settings: Settings, userinfo: string, offset: number): string {
  const text = userinfo === '' ? settings.get('community')?.text : undefined;
  const community = text ?? settings.resolve({ text: decodeLoosely({ text: userinfo, offset }), offset });
  if (community === '')
    throw new DeviceUrlError(
      'the URL names no community',
      offset,
      'write snmp://public@host/..., or name a credential',
    );
  if (Buffer.byteLength(community) > 255)
    throw new DeviceUrlError('the community is longer than 255 bytes', offset);
  return community;
}

/** The v3 user: its name before the `@` (with the authentication key after a colon) or as `user`. */
function parseUser(settings: Settings, userinfo: string, offset: number): UsmUser {
  const colon = separatorOf(userinfo);
  const nameText = colon === -1 ? userinfo : userinfo.slice(0, colon);
  const keyText = colon === -1 ? '' : userinfo.slice(colon + 1);
  const name: Field | undefined =
    nameText === ''
      ? settings.get('user')
      : { text: settings.resolve({ text: decodeLoosely({ text: nameText, offset }), offset }), offset };
  if (!name || name.text === '')
    throw new DeviceUrlError('SNMP v3 needs a user', offset, 'write snmp://user@host/...?version=3');
  if (Buffer.byteLength(name.text) > 32)
    throw new DeviceUrlError('the user is longer than 32 bytes', name.offset);

  const authKey =
    keyText === ''
      ? settings.get('auth_key')
      : {
          text: settings.resolve({
            text: decodeLoosely({ text: keyText, offset: offset + colon + 1 }),
            offset: offset + colon + 1,
          }),
          offset: offset + colon + 1,
        };
  const privKey = settings.get('priv_key');
  const authProtocol = settings.choice('auth', AUTH_PROTOCOLS);
  const privProtocol = settings.choice('priv', PRIV_PROTOCOLS);
  const wanted = settings.choice('level', Object.fromEntries(LEVELS.map((l) => [l.toLowerCase(), l])));
  const level = wanted ?? (privKey ? 'authPriv' : authKey ? 'authNoPriv' : 'noAuthNoPriv');

  const auth = level === 'noAuthNoPriv' ? undefined : keyPair('auth', level, authProtocol, authKey);
  const priv = level === 'authPriv' ? keyPair('priv', level, privProtocol, privKey) : undefined;
  return {
    name: name.text,
    level,
    ...(auth && { auth }),
    ...(priv && { priv }),
    context: settings.get('context')?.text ?? '',
  };
}

function keyPair<P>(
  kind: 'auth' | 'priv',
  level: SecurityLevel,
  protocol: P | undefined,
  key: Field | undefined,
): { protocol: P; key: string } {
  const names = Object.keys(kind === 'auth' ? AUTH_PROTOCOLS : PRIV_PROTOCOLS).join(', ');
  if (!protocol)
    throw new DeviceUrlError(`${level} needs ${kind}, the protocol`, key?.offset, `one of ${names}`);
  if (!key) throw new DeviceUrlError(`${level} needs ${kind}_key`, 0, `add ${kind}_key=\${env:NAME}`);
  if (Buffer.byteLength(key.text) < MIN_KEY_LENGTH)
    throw new DeviceUrlError(`${kind}_key is shorter than ${MIN_KEY_LENGTH} characters`, key.offset);
  return { protocol, key: key.text };
}

function parseMaxOids(settings: Settings): number {
  const field = settings.get('max_oids');
  if (!field) return DEFAULT_MAX_OIDS;
  const value = /^[0-9]{1,4}$/.test(field.text) ? Number(field.text) : 0;
  if (value < 1 || value > MAX_OIDS)
    throw new DeviceUrlError(`max_oids is not a number from 1 to ${MAX_OIDS}`, field.offset);
  return value;
}

/** The path: an OID with templates. Decoded first, as Kwollect does; offsets stay those of the URL. */
function parsePath(text: string, start: number, end: number): (string | OidTemplate)[] {
  const { decoded, offsets } = decodeWithOffsets(text, Math.min(start + 1, end), end);
  const at = (index: number) => offsets[index] ?? end;
  if (decoded.trim() === '')
    throw new DeviceUrlError('the URL names no OID', end, 'write snmp://community@host/1.3.6.1...');
  const pieces: (string | OidTemplate)[] = [];
  let probe = '';
  /** Where each character of `probe` came from. */
  const probeOffsets: number[] = [];
  const append = (piece: string, from: number, fixed: boolean) => {
    probe += piece;
    for (let index = 0; index < piece.length; index++) probeOffsets.push(at(fixed ? from : from + index));
  };
  let position = 0;
  while (position < decoded.length) {
    const open = decoded.indexOf('{{', position);
    const literalEnd = open === -1 ? decoded.length : open;
    const literal = decoded.slice(position, literalEnd).trim();
    if (literal !== '') {
      const from = position + decoded.slice(position, literalEnd).search(/\S/);
      if (pieces.length > 0 && !literal.startsWith('.')) append('.', from, true);
      pieces.push(pieces.length > 0 ? literal.replace(/^\./, '') : literal);
      append(literal, from, false);
    }
    if (open === -1) break;
    const close = decoded.indexOf('}}', open);
    if (close === -1) throw new DeviceUrlError('the template is not closed', at(open), 'add }}');
    if (probe !== '' && !probe.endsWith('.')) append('.', open, true);
    pieces.push(parseTemplate(decoded, open + 2, close, at));
    // A number in the place of the index: is the rest an OID?
    append('0', open, true);
    position = close + 2;
  }
  if (probe.endsWith('.')) throw new DeviceUrlError('the OID ends with a dot', at(decoded.length - 1));
  checkOid(probe, (index) => probeOffsets[index] ?? end);
  return pieces.map((piece, index) => (typeof piece === 'string' ? trimDots(piece, index) : piece));
}

/** Pieces are joined with dots again (see `joinOid`), so they carry none at their ends. */
function trimDots(piece: string, index: number): string {
  return (index === 0 ? piece.replace(/^\./, '') : piece).replace(/\.$/, '');
}

function parseTemplate(
  decoded: string,
  start: number,
  end: number,
  at: (index: number) => number,
): OidTemplate {
  const equals = decoded.indexOf('==', start);
  if (equals === -1 || equals >= end)
    throw new DeviceUrlError('a template compares an OID with a text', at(start), 'write {{ oid == text }}');
  const prefix = decoded.slice(start, equals).trim();
  const text = decoded.slice(equals + 2, end).trim();
  const prefixStart = start + Math.max(decoded.slice(start, equals).search(/\S/), 0);
  if (text === '') throw new DeviceUrlError('the template names no text', at(equals));
  checkOid(prefix, (index) => at(prefixStart + index));
  return { prefix: prefix.replace(/^\./, ''), text };
}

function checkOid(text: string, at: (index: number) => number): void {
  try {
    parseOid(text);
  } catch (error) {
    if (!(error instanceof OidSyntaxError)) throw error;
    const hint = /[a-z]/i.test(text)
      ? 'OIDs are written in numbers; snmptranslate -On NAME gives them'
      : undefined;
    throw new DeviceUrlError(error.message, at(error.offset), hint);
  }
}

/** The OID's text, with the index for each template as `indexOf` gives it; undefined when one is unknown. */
export function joinOid(
  pieces: readonly (string | OidTemplate)[],
  indexOf: (template: OidTemplate) => string | undefined,
): string | undefined {
  const parts: string[] = [];
  for (const piece of pieces) {
    const part = typeof piece === 'string' ? piece : indexOf(piece);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return parts.join('.');
}

/** The first colon that is not inside a `${...}` reference. */
function separatorOf(userinfo: string): number {
  return userinfo.replace(/\$\{[^}]*\}/g, (reference) => ' '.repeat(reference.length)).indexOf(':');
}

/** The URL without its secrets: the community, and the keys of v3. */
function safeText(text: string, authority: number, host: number, pathEnd: number, isV3: boolean): string {
  const userinfo = text.slice(authority, Math.max(host - 1, authority));
  const colon = separatorOf(userinfo);
  let shown = userinfo === '' ? '' : '***@';
  if (isV3 && userinfo !== '') shown = colon === -1 ? `${userinfo}@` : `${userinfo.slice(0, colon)}:***@`;
  const query = text
    .slice(pathEnd)
    .replace(/([?&])([a-z_]+)=([^&]*)/g, (whole, separator: string, name: string) =>
      SECRET_PARAMETERS.includes(name) ? `${separator}${name}=***` : whole,
    );
  return `${text.slice(0, authority)}${shown}${text.slice(host, pathEnd)}${query}`;
}

/** `auth_key=...` in the parameters. */
const SECRETS = new RegExp(`\\b(${SECRET_PARAMETERS.join('|')})=([^&]*)`, 'g');

/** The part before the host as it may be written into a file: `public` is no secret, other communities are. */
function writableUser(userinfo: string, version: SnmpVersion): string {
  if (userinfo === '') return '';
  if (version !== '3')
    return `${userinfo === 'public' ? userinfo : writableSecret(userinfo, 'SNMP_COMMUNITY')}@`;
  const colon = separatorOf(userinfo);
  if (colon === -1) return `${userinfo}@`;
  return `${userinfo.slice(0, colon)}:${writableSecret(userinfo.slice(colon + 1), 'SNMP_AUTH_KEY')}@`;
}

function decodeWithOffsets(text: string, start: number, end: number): { decoded: string; offsets: number[] } {
  let decoded = '';
  const offsets: number[] = [];
  const push = (piece: string, offset: number) => {
    decoded += piece;
    for (let index = 0; index < piece.length; index++) offsets.push(offset);
  };
  let position = start;
  while (position < end) {
    const escapes = text[position] === '%' ? /^(?:%[0-9a-f]{2})+/i.exec(text.slice(position, end)) : null;
    if (!escapes) {
      push(text[position] as string, position);
      position++;
      continue;
    }
    push(Buffer.from(escapes[0].replaceAll('%', ''), 'hex').toString('utf8'), position);
    position += escapes[0].length;
  }
  return { decoded, offsets };
}
