/**
 * The URL of a Prometheus page, in Kwollect's form with a query for what Kwollect could not say:
 *
 *   prometheus://[user:password@]host[:port]/[name-name-...][?path=/metrics&collect[]=cpu&...]
 *   prometheus+https://...
 *
 * The path is no path on the server: it chooses metrics by exact name, joined by `-` (write a `-` inside a name
 * as %2D); empty means all of them. The page itself is `/metrics` unless `path=` says otherwise. Every query
 * parameter that kw does not know goes to the exporter as it is (`collect[]`, `target`, `module`).
 * `${env:NAME}` and `${file:PATH}` may stand in the user, the password, `bearer` and `ca`.
 */
import { isIPv6 } from 'node:net';
import { type DeviceUrl, DeviceUrlError, type UrlContext } from '../driver.ts';

/** The node exporter's port: what a URL without a port means. */
const DEFAULT_PORT = 9100;
const DEFAULT_MAX_BYTES = 10_000_000;
const DEFAULT_MAX_SERIES = 50_000;

export interface PrometheusUrl extends DeviceUrl {
  /** Scheme, host and port for the HTTP client, such as `https://[::1]:9100`. */
  readonly origin: string;
  /** Path and query of the page, such as `/metrics?collect[]=cpu`, percent-encoded. */
  readonly pagePath: string;
  /** Names as they stand on the page; undefined means all. */
  readonly names: readonly string[] | undefined;
  /** The Authorization header, if there is one: a secret. */
  readonly authorization: string | undefined;
  /** Certificates (PEM) to trust instead of the system's. */
  readonly ca: string | undefined;
  /** Accept any certificate. */
  readonly insecure: boolean;
  /** Ask for a compressed page. */
  readonly gzip: boolean;
  /** Bound on the page after decompression, in bytes. */
  readonly maxBytes: number;
  /** Bound on the samples taken from one page. */
  readonly maxSeries: number;
}

/** A piece of the URL text and where it stands, so that every error can point at its column. */
interface Piece {
  readonly text: string;
  readonly offset: number;
}

const REFERENCE = /\$\{[^}]*\}/g;

/** The text with every `${...}` blanked out, so that a `/` or `@` inside one is no delimiter. Same length. */
function withoutReferences(text: string): string {
  return text.replaceAll(REFERENCE, (reference) => '_'.repeat(reference.length));
}

function decode({ text, offset }: Piece): string {
  try {
    return decodeURIComponent(text);
  } catch {
    const bad = text.search(/%(?![0-9a-fA-F]{2})/);
    throw new DeviceUrlError(
      'a % must be followed by two hexadecimal digits of valid UTF-8',
      offset + Math.max(0, bad),
      'write % itself as %25',
    );
  }
}

/** Decodes a component that may hold references. What a reference stands for is taken as it is. */
function decodeSecret(piece: Piece, context: UrlContext): string {
  let result = '';
  let done = 0;
  for (const match of piece.text.matchAll(REFERENCE)) {
    result += decode({ text: piece.text.slice(done, match.index), offset: piece.offset + done });
    result += resolveReference({ text: match[0], offset: piece.offset + match.index }, context);
    done = match.index + match[0].length;
  }
  return result + decode({ text: piece.text.slice(done), offset: piece.offset + done });
}

function resolveReference({ text, offset }: Piece, context: UrlContext): string {
  try {
    return context.resolveSecret(text);
  } catch (error) {
    throw new DeviceUrlError(error instanceof Error ? error.message : `cannot resolve ${text}`, offset);
  }
}

interface Parts {
  readonly scheme: string;
  readonly user: Piece | undefined;
  readonly password: Piece | undefined;
  readonly host: Piece;
  readonly port: Piece | undefined;
  readonly path: Piece;
  readonly query: Piece | undefined;
}

function split(text: string): Parts {
  const schemeEnd = text.indexOf('://');
  if (schemeEnd < 0) throw new DeviceUrlError('the URL has no ://', 0, URL_FORM_HINT);
  const plain = withoutReferences(text);
  const fragment = plain.indexOf('#');
  if (fragment >= 0) throw new DeviceUrlError('a URL may not contain #', fragment, 'write # as %23');
  const start = schemeEnd + 3;
  const authorityLength = plain.slice(start).search(/[/?]/);
  const authorityEnd = authorityLength < 0 ? text.length : start + authorityLength;
  const queryMark = plain.indexOf('?', authorityEnd);
  const pathEnd = queryMark < 0 ? text.length : queryMark;
  const piece = (from: number, to: number): Piece => ({ text: text.slice(from, to), offset: from });

  const at = plain.slice(start, authorityEnd).lastIndexOf('@');
  const hostStart = at < 0 ? start : start + at + 1;
  let user: Piece | undefined;
  let password: Piece | undefined;
  if (at >= 0) {
    const colon = plain.slice(start, start + at).indexOf(':');
    user = piece(start, colon < 0 ? start + at : start + colon);
    if (colon >= 0) password = piece(start + colon + 1, start + at);
  }

  let hostEnd = authorityEnd;
  if (text[hostStart] === '[') {
    const bracket = text.indexOf(']', hostStart);
    if (bracket < 0 || bracket >= authorityEnd)
      throw new DeviceUrlError('the [ of an IPv6 address is never closed', hostStart);
    hostEnd = bracket + 1;
    if (hostEnd < authorityEnd && text[hostEnd] !== ':')
      throw new DeviceUrlError('only a port may follow the address', hostEnd);
  } else {
    const colon = text.slice(hostStart, authorityEnd).indexOf(':');
    if (colon >= 0) hostEnd = hostStart + colon;
  }
  return {
    scheme: text.slice(0, schemeEnd).toLowerCase(),
    user,
    password,
    host: piece(hostStart, hostEnd),
    port: hostEnd < authorityEnd ? piece(hostEnd + 1, authorityEnd) : undefined,
    path: piece(authorityEnd, pathEnd),
    query: queryMark < 0 ? undefined : piece(queryMark + 1, text.length),
  };
}

const URL_FORM_HINT = 'write prometheus://host:port/ for all metrics of a page';

function parseHost({ text, offset }: Piece): string {
  if (text === '') throw new DeviceUrlError('the URL names no host', offset, URL_FORM_HINT);
  if (text.startsWith('[')) {
    if (!isIPv6(text.slice(1, -1)) || text.includes('%'))
      throw new DeviceUrlError('this is no IPv6 address', offset + 1);
    return text.toLowerCase();
  }
  const bad = text.search(/[^A-Za-z0-9._-]/);
  if (bad >= 0)
    throw new DeviceUrlError('a host name has letters, digits, dots and hyphens only', offset + bad);
  return text.toLowerCase();
}

function parsePort(port: Piece | undefined): number {
  if (port === undefined) return DEFAULT_PORT;
  const number = /^\d{1,5}$/.test(port.text) ? Number(port.text) : 0;
  if (number < 1 || number > 65_535)
    throw new DeviceUrlError('the port must be a number from 1 to 65535', port.offset);
  return number;
}

/**
 * `/a-b` to ['a', 'b']. Split before decoding, so that %2D is a hyphen of a name. `/[a-b]` is the same: manuals put
 * brackets around what may be left out, and people copy them.
 */
function parseNames(path: Piece): readonly string[] | undefined {
  const [, before = '', list = ''] = /^(\/?\[?)(.*?)\]?$/s.exec(path.text) ?? [];
  const names: string[] = [];
  let offset = path.offset + before.length;
  for (const text of list.split('-')) {
    if (text !== '') names.push(decode({ text, offset }));
    offset += text.length + 1;
  }
  return names.length === 0 ? undefined : [...new Set(names)];
}

interface QueryOptions {
  path: string;
  readonly passedOn: string[];
  bearer: string | undefined;
  ca: string | undefined;
  insecure: boolean;
  gzip: boolean;
  maxBytes: number;
  maxSeries: number;
}

function parseYesNo(name: string, value: string, offset: number): boolean {
  if (/^(1|true|yes)$/i.test(value)) return true;
  if (/^(0|false|no)$/i.test(value)) return false;
  throw new DeviceUrlError(`${name} must be true or false`, offset);
}

function parseBound(name: string, value: string, offset: number): number {
  const number = /^\d{1,12}$/.test(value) ? Number(value) : 0;
  if (number < 1) throw new DeviceUrlError(`${name} must be a whole number of at least 1`, offset);
  return number;
}

function parseQuery(query: Piece | undefined, context: UrlContext): QueryOptions {
  const options: QueryOptions = {
    path: '/metrics',
    passedOn: [],
    bearer: undefined,
    ca: undefined,
    insecure: false,
    gzip: false,
    maxBytes: DEFAULT_MAX_BYTES,
    maxSeries: DEFAULT_MAX_SERIES,
  };
  if (query === undefined) return options;
  let start = 0;
  for (const plain of withoutReferences(query.text).split('&')) {
    const text = query.text.slice(start, start + plain.length);
    const offset = query.offset + start;
    start += plain.length + 1;
    if (text === '') continue;
    const equals = plain.indexOf('=');
    const name = decode({ text: equals < 0 ? text : text.slice(0, equals), offset });
    const value: Piece =
      equals < 0
        ? { text: '', offset: offset + text.length }
        : { text: text.slice(equals + 1), offset: offset + equals + 1 };
    switch (name) {
      case 'path': {
        const path = decode(value);
        if (!path.startsWith('/')) throw new DeviceUrlError('path must begin with /', value.offset);
        options.path = path;
        break;
      }
      case 'bearer':
        options.bearer = decodeSecret(value, context);
        break;
      case 'ca':
        options.ca = readCa(value, context);
        break;
      case 'insecure':
        options.insecure = equals < 0 || parseYesNo(name, value.text, value.offset);
        break;
      case 'gzip':
        options.gzip = equals < 0 || parseYesNo(name, value.text, value.offset);
        break;
      case 'max_bytes':
        options.maxBytes = parseBound(name, value.text, value.offset);
        break;
      case 'max_series':
        options.maxSeries = parseBound(name, value.text, value.offset);
        break;
      default:
        options.passedOn.push(encodeQueryParameter(text));
    }
  }
  return options;
}

/** `ca=PATH`: read like `${file:PATH}`, so that a missing file is an error of the configuration, not of a poll. */
function readCa(value: Piece, context: UrlContext): string {
  const text =
    withoutReferences(value.text) !== value.text
      ? decodeSecret(value, context)
      : resolveReference({ text: `\${file:${decode(value)}}`, offset: value.offset }, context);
  if (!text.includes('-----BEGIN CERTIFICATE-----'))
    throw new DeviceUrlError('ca names a file without a PEM certificate', value.offset);
  return text;
}

/** Everything that an HTTP request line cannot carry, percent-encoded; what is encoded already stays. */
function encodeQueryParameter(text: string): string {
  return encodeURI(text).replaceAll('%25', '%').replaceAll('#', '%23');
}

/** Query parameters whose values are hidden from people because of their names. */
const SECRET_NAME = /token|secret|passw|key|auth/i;

function safeQuery(query: Piece | undefined): string {
  if (query === undefined) return '';
  const shown = withoutReferences(query.text)
    .split('&')
    .map((plain, index, all) => {
      const start = all.slice(0, index).reduce((sum, part) => sum + part.length + 1, 0);
      const text = query.text.slice(start, start + plain.length);
      const name = text.split('=', 1)[0] ?? '';
      return name === 'bearer' || SECRET_NAME.test(name) ? `${name}=***` : text;
    });
  return `?${shown.join('&')}`;
}

/** The Authorization header from the URL or, if it has none, from the named credential. */
function authorizationOf(parts: Parts, bearer: string | undefined, context: UrlContext): string | undefined {
  let user = parts.user && decodeSecret(parts.user, context);
  let password = parts.password && decodeSecret(parts.password, context);
  let token = bearer;
  if (user !== undefined && token !== undefined) {
    throw new DeviceUrlError(
      'the URL has both a user and a bearer token',
      parts.user?.offset,
      'leave one of them out',
    );
  }
  if (user === undefined && token === undefined) {
    user = context.credential?.user;
    password = context.credential?.password;
    token = context.credential?.token;
  }
  const header =
    token !== undefined
      ? `Bearer ${token.trim()}`
      : user !== undefined
        ? `Basic ${Buffer.from(`${user}:${password ?? ''}`).toString('base64')}`
        : undefined;
  if (header !== undefined && /[^\x20-\x7e]/.test(header))
    throw new DeviceUrlError('the bearer token contains characters that HTTP does not allow');
  return header;
}

/**
 * Parses the URL of an entry.
 * @throws DeviceUrlError with the offset of what is wrong; its message never repeats a secret.
 */
export function parsePrometheusUrl(text: string, context: UrlContext): PrometheusUrl {
  const parts = split(text);
  const host = parseHost(parts.host);
  const port = parsePort(parts.port);
  const names = parseNames(parts.path);
  const options = parseQuery(parts.query, context);
  const authorization = authorizationOf(parts, options.bearer, context);
  const https = parts.scheme === 'prometheus+https';
  if (!https && (options.ca !== undefined || options.insecure)) {
    throw new DeviceUrlError(
      'ca and insecure are for prometheus+https:// only',
      parts.query?.offset,
      'write prometheus+https:// at the beginning',
    );
  }
  const origin = `${https ? 'https' : 'http'}://${host}:${port}`;
  const path = encodeQueryParameter(options.path);
  const pagePath =
    options.passedOn.length === 0
      ? path
      : `${path}${path.includes('?') ? '&' : '?'}${options.passedOn.join('&')}`;
  const { ca, insecure, gzip, maxBytes, maxSeries } = options;
  const user = parts.user
    ? `${parts.user.text.includes('$') ? '***' : parts.user.text}${parts.password ? ':***' : ''}@`
    : '';
  return {
    scheme: parts.scheme,
    endpointKey: JSON.stringify([origin, pagePath, authorization, ca, insecure, gzip, maxBytes, maxSeries]),
    safeUrl: `${parts.scheme}://${user}${host}:${port}${parts.path.text || '/'}${safeQuery(parts.query)}`,
    hostPort: `${host}:${port}`,
    origin,
    pagePath,
    names,
    authorization,
    ca,
    insecure,
    gzip,
    maxBytes,
    maxSeries,
  };
}
