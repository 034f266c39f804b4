/**
 * Takes URLs apart for the protocols, keeping the place of every piece, so that an error can point at its column.
 * `${env:NAME}` and `${file:PATH}` may stand in what is secret; a `/`, `@` or `&` inside one is no delimiter.
 */
import { isIPv6 } from 'node:net';
import { DeviceUrlError, type UrlContext } from '../driver.ts';

/** A piece of the URL text and where it stands. */
export interface Piece {
  readonly text: string;
  readonly offset: number;
}

export interface UrlParts {
  /** Lower case, without `://`. */
  readonly scheme: string;
  readonly user: Piece | undefined;
  readonly password: Piece | undefined;
  readonly host: Piece;
  readonly port: Piece | undefined;
  /** With its leading `/`; empty when there is none. */
  readonly path: Piece;
  readonly query: Piece | undefined;
  /** Behind the `#`. */
  readonly fragment: Piece | undefined;
}

/** One parameter of a query. */
export interface Parameter {
  /** As written, with its value. */
  readonly text: string;
  readonly name: string;
  readonly offset: number;
  /** False for `?insecure`, without a `=`. */
  readonly hasValue: boolean;
  /** Not decoded. */
  readonly value: Piece;
}

const REFERENCE = /\$\{[^}]*\}/g;

/** The text with every `${...}` blanked out. Same length. */
export function withoutReferences(text: string): string {
  return text.replaceAll(REFERENCE, (reference) => '_'.repeat(reference.length));
}

/** Percent-decodes a piece. @throws DeviceUrlError */
export function decode({ text, offset }: Piece): string {
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

/** The same as Python's unquote does it for Kwollect: what is no escape stays as it is. Never throws. */
export function decodeLoosely({ text }: Piece): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) =>
    Buffer.from(escapes.replaceAll('%', ''), 'hex').toString('utf8'),
  );
}

/** Decodes a piece that may hold references. What a reference stands for is taken as it is. */
export function decodeSecret(
  piece: Piece,
  context: UrlContext,
  decodeText: (piece: Piece) => string = decode,
): string {
  let result = '';
  let done = 0;
  for (const match of piece.text.matchAll(REFERENCE)) {
    result += decodeText({ text: piece.text.slice(done, match.index), offset: piece.offset + done });
    result += resolveReference({ text: match[0], offset: piece.offset + match.index }, context);
    done = match.index + match[0].length;
  }
  return result + decodeText({ text: piece.text.slice(done), offset: piece.offset + done });
}

function resolveReference({ text, offset }: Piece, context: UrlContext): string {
  try {
    return context.resolveSecret(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : `cannot resolve ${text}`;
    throw new DeviceUrlError(message, offset, undefined, { cause: error });
  }
}

/** Takes a URL apart. `hint` says what to write when it is none. @throws DeviceUrlError */
export function splitUrl(text: string, hint: string): UrlParts {
  const schemeEnd = text.indexOf('://');
  if (schemeEnd < 0) throw new DeviceUrlError('the URL has no ://', 0, hint);
  const plain = withoutReferences(text);
  const start = schemeEnd + 3;
  const hash = plain.indexOf('#', start);
  const end = hash < 0 ? text.length : hash;
  const authorityLength = plain.slice(start, end).search(/[/?]/);
  const authorityEnd = authorityLength < 0 ? end : start + authorityLength;
  if (hash >= 0 && authorityLength < 0 && plain.indexOf('@', hash) > 0)
    throw new DeviceUrlError('a # in a user or a password is written %23', hash);
  const queryMark = plain.slice(0, end).indexOf('?', authorityEnd);
  const pathEnd = queryMark < 0 ? end : queryMark;
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
    query: queryMark < 0 ? undefined : piece(queryMark + 1, end),
    fragment: hash < 0 ? undefined : piece(hash + 1, text.length),
  };
}

/** Lower case; an IPv6 address keeps its brackets. @throws DeviceUrlError */
export function parseHost({ text, offset }: Piece, hint: string): string {
  if (text === '') throw new DeviceUrlError('the URL names no host', offset, hint);
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

export function parsePort(port: Piece | undefined, defaultPort: number): number {
  if (port === undefined) return defaultPort;
  const number = /^\d{1,5}$/.test(port.text) ? Number(port.text) : 0;
  if (number < 1 || number > 65_535)
    throw new DeviceUrlError('the port must be a number from 1 to 65535', port.offset);
  return number;
}

/** The parameters of a query, one after the other. @throws DeviceUrlError for a name that cannot be decoded */
export function* parametersOf(query: Piece | undefined): Generator<Parameter> {
  if (query === undefined) return;
  let start = 0;
  for (const plain of withoutReferences(query.text).split('&')) {
    const text = query.text.slice(start, start + plain.length);
    const offset = query.offset + start;
    start += plain.length + 1;
    if (text === '') continue;
    const equals = plain.indexOf('=');
    const nameText = equals < 0 ? text : text.slice(0, equals);
    const value: Piece =
      equals < 0
        ? { text: '', offset: offset + text.length }
        : { text: text.slice(equals + 1), offset: offset + equals + 1 };
    yield { text, name: decode({ text: nameText, offset }), offset, hasValue: equals >= 0, value };
  }
}

/** A parameter that says yes by standing there, or true or false. */
export function parseYesNo({ name, hasValue, value: { text, offset } }: Parameter): boolean {
  if (!hasValue || /^(1|true|yes)$/i.test(text)) return true;
  if (/^(0|false|no)$/i.test(text)) return false;
  throw new DeviceUrlError(`${name} must be true or false`, offset);
}

export function parseBound({ name, value: { text, offset } }: Parameter): number {
  const number = /^\d{1,12}$/.test(text) ? Number(text) : 0;
  if (number < 1) throw new DeviceUrlError(`${name} must be a whole number of at least 1`, offset);
  return number;
}

/** `ca=PATH`: read like `${file:PATH}`, so that a missing file is an error of the configuration, not of a poll. */
export function readCa(value: Piece, context: UrlContext): string {
  const text =
    withoutReferences(value.text) !== value.text
      ? decodeSecret(value, context)
      : resolveReference({ text: `\${file:${decode(value)}}`, offset: value.offset }, context);
  if (!text.includes('-----BEGIN CERTIFICATE-----'))
    throw new DeviceUrlError('ca names a file without a PEM certificate', value.offset);
  return text;
}

/** `user:***@` for people, or nothing. A reference in the place of the user is hidden too. */
export function safeUserinfo({ user, password }: UrlParts): string {
  if (user === undefined) return '';
  return `${user.text.includes('$') ? '***' : user.text}${password ? ':***' : ''}@`;
}

/** Everything that an HTTP request line cannot carry, percent-encoded; what is encoded already stays. */
export function encodeForHttp(text: string): string {
  return encodeURI(text).replaceAll('%25', '%').replaceAll('#', '%23');
}
