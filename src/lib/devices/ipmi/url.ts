/**
 * URLs of BMCs: Kwollect's `ipmisensor://user:password@host/sensor`, and what kw adds.
 *
 *   ipmisensor://[user[:password]@]host[:port]/NAME or record id[?cipher=3|17&kg=...&privilege=...&lookup=...]
 *   ipmi-dcmi://[user[:password]@]host[:port]/power[?...]
 *
 * A name may hold any character: blanks, `#`, `+` and `/` as they are, `?` as %3F, `%` as %25. `${env:NAME}` and
 * `${file:PATH}` may stand in the user, the password and `kg`.
 */
import { isIPv6 } from 'node:net';
import { type DeviceUrl, DeviceUrlError, type UrlContext } from '../driver.ts';
import { canonicalIPv6 } from '../shared/ipAddress.ts';
import {
  decodeLoosely,
  decodeSecret,
  type Piece,
  parametersOf,
  parseHost,
  parsePort,
  safeUserinfo,
  splitUrl,
  type UrlParts,
  withoutReferences,
} from '../shared/urlParts.ts';
import { KG_LENGTH, MAX_PASSWORD_LENGTH, MAX_USER_LENGTH, type Privilege } from './rakp.ts';
import type { CipherSuiteId } from './suites.ts';

export const URL_FORM = 'ipmisensor://user:password@host[:port]/NAME or record id';
const DCMI_URL_FORM = 'ipmi-dcmi://user:password@host[:port]/power';
/** Section 13.1.2: the primary RMCP port. */
const DEFAULT_PORT = 623;
/** What may follow `?`; the same names are fields of a named credential, beside `user` and `password`. */
const PARAMETERS = ['cipher', 'kg', 'privilege', 'lookup'] as const;
type ParameterName = (typeof PARAMETERS)[number];
const CIPHERS: Readonly<Record<string, CipherSuiteId>> = { '3': 3, '17': 17 };
const PRIVILEGES: Readonly<Record<string, Privilege>> = {
  callback: 'callback',
  user: 'user',
  operator: 'operator',
  admin: 'administrator',
  administrator: 'administrator',
};
const LOOKUPS: Readonly<Record<string, boolean>> = { name: true, privilege: false };

/** How to log in to a BMC: two URLs with equal ones share a session. */
export interface IpmiLogin {
  readonly user: string;
  readonly password: string;
  /** The key of the BMC itself ("two-key login"); undefined for the usual BMC, which has none. */
  readonly kg: Buffer | undefined;
  /** Undefined: the best that both sides have. */
  readonly cipher: CipherSuiteId | undefined;
  readonly privilege: Privilege;
  /** Look the user up by name alone (the default, as other tools do), else by name and privilege. */
  readonly lookUpByName: boolean;
}

export interface IpmiUrl extends DeviceUrl {
  readonly scheme: 'ipmisensor' | 'ipmi-dcmi';
  /** Lower case; IPv6 without brackets, in its shortest form. */
  readonly host: string;
  readonly port: number;
  readonly login: IpmiLogin;
  /** What follows the host, decoded: name or record id of a sensor, or what DCMI is asked for. May be empty. */
  readonly target: string;
  /** Where the target stands in the URL, for errors. */
  readonly targetOffset: number;
}

/**
 * Parses the URL of a metric or of a whole BMC: whether the target makes sense is for the caller to say.
 * @throws DeviceUrlError
 */
export function parseIpmiUrl(text: string, context: UrlContext): IpmiUrl {
  const form = /^ipmi-dcmi:/i.test(text) ? DCMI_URL_FORM : URL_FORM;
  const parts = splitUrl(text, `write ${form}`);
  const { scheme } = parts;
  if (scheme !== 'ipmisensor' && scheme !== 'ipmi-dcmi')
    throw new DeviceUrlError('not the URL of a BMC', 0, `write ${form}`);
  const hostText = parseHost(parts.host, `write ${form}`);
  const host = hostText.startsWith('[') ? canonicalIPv6(hostText.slice(1, -1)) : hostText;
  const port = parsePort(parts.port, DEFAULT_PORT);
  const hostPort = `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  const { target, query } = splitTarget(text, parts.path.offset);
  const parameters = readParameters(query);
  const login = parseLogin(parts, parameters, context);
  const shownQuery = [...parameters].map(([name, { text: value }]) =>
    name === 'kg' ? 'kg=***' : `${name}=${value}`,
  );
  return {
    scheme,
    host,
    port,
    hostPort,
    login,
    target: decodeLoosely(target),
    targetOffset: target.offset,
    endpointKey: JSON.stringify([host, port, loginKey(login)]),
    safeUrl: `${scheme}://${safeUserinfo(parts)}${hostPort}/${target.text}${shownQuery.length > 0 ? `?${shownQuery.join('&')}` : ''}`,
  };
}

/** Equal for equal logins. Holds secrets. */
export function loginKey(login: IpmiLogin): string {
  return JSON.stringify({ ...login, kg: login.kg?.toString('hex') });
}

/** Everything behind the first `/` up to a `?`: a `#` is part of a name here. */
export function splitTarget(text: string, pathOffset: number): { target: Piece; query: Piece | undefined } {
  const mark = withoutReferences(text).indexOf('?', pathOffset);
  const end = mark === -1 ? text.length : mark;
  const start = Math.min(pathOffset + 1, end);
  return {
    target: { text: text.slice(start, end), offset: start },
    query: mark === -1 ? undefined : { text: text.slice(mark + 1), offset: mark + 1 },
  };
}

function readParameters(query: Piece | undefined): Map<ParameterName, Piece> {
  const found = new Map<ParameterName, Piece>();
  for (const { name, offset, value } of parametersOf(query)) {
    const known = PARAMETERS.find((one) => one === name);
    if (known === undefined)
      throw new DeviceUrlError(
        `unknown parameter "${name.slice(0, 40)}"`,
        offset,
        `known ones: ${PARAMETERS.join(', ')}; a ? in a name is written %3F`,
      );
    if (found.has(known)) throw new DeviceUrlError(`${name} is given twice`, offset);
    if (value.text === '') throw new DeviceUrlError(`${name} has no value`, offset);
    found.set(known, value);
  }
  return found;
}

function parseLogin(
  { user, password }: UrlParts,
  parameters: ReadonlyMap<ParameterName, Piece>,
  context: UrlContext,
): IpmiLogin {
  const { credential } = context;
  const read = (piece: Piece) => decodeSecret(piece, context, decodeLoosely);
  const setting = (name: ParameterName): Piece | undefined => {
    const piece = parameters.get(name);
    if (piece) return { text: read(piece), offset: piece.offset };
    const text = credential?.[name];
    return text === undefined ? undefined : { text, offset: 0 };
  };
  // A user in the URL comes with its own password, never with that of a credential.
  const userText = user ? read(user) : (credential?.user ?? '');
  const passwordText = user ? password && read(password) : credential?.password;
  checkLength('user', userText, MAX_USER_LENGTH, user);
  checkLength('password', passwordText ?? '', MAX_PASSWORD_LENGTH, password);
  return {
    user: userText,
    password: passwordText ?? '',
    kg: parseKg(setting('kg')),
    cipher: choose('cipher', setting('cipher'), CIPHERS),
    privilege: choose('privilege', setting('privilege'), PRIVILEGES) ?? 'user',
    lookUpByName: choose('lookup', setting('lookup'), LOOKUPS) ?? true,
  };
}

function choose<T>(
  name: string,
  piece: Piece | undefined,
  choices: Readonly<Record<string, T>>,
): T | undefined {
  if (!piece) return undefined;
  const key = piece.text.toLowerCase();
  if (!Object.hasOwn(choices, key))
    throw new DeviceUrlError(
      `unknown ${name} "${piece.text.slice(0, 40)}"`,
      piece.offset,
      `write one of ${Object.keys(choices).join(', ')}`,
    );
  return choices[key];
}

function checkLength(what: string, text: string, most: number, piece: Piece | undefined): void {
  const length = Buffer.byteLength(text);
  if (length > most)
    throw new DeviceUrlError(
      `the ${what} has ${length} bytes, and IPMI knows at most ${most}`,
      piece?.offset,
    );
  if (text.includes('\0')) throw new DeviceUrlError(`the ${what} contains a NUL character`, piece?.offset);
}

/** As text, or with `0x` before it as hexadecimal digits. A key of zeros is none (section 13.31). */
function parseKg(piece: Piece | undefined): Buffer | undefined {
  if (!piece) return undefined;
  const isHex = /^0x/i.test(piece.text);
  if (isHex && !/^0x(?:[0-9a-f]{2})+$/i.test(piece.text))
    throw new DeviceUrlError('kg is not a row of pairs of hexadecimal digits behind 0x', piece.offset);
  const key = isHex ? Buffer.from(piece.text.slice(2), 'hex') : Buffer.from(piece.text);
  if (key.length > KG_LENGTH)
    throw new DeviceUrlError(
      `kg has ${key.length} bytes, and at most ${KG_LENGTH} are possible`,
      piece.offset,
    );
  return key.some((octet) => octet !== 0) ? key : undefined;
}
