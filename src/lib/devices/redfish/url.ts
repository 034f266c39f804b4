/**
 * The URL of one value of a BMC, or of a group of them:
 *
 *   redfish://[user:password@]host[:port]/Chassis/1/Power#PowerControl/0/PowerConsumedWatts
 *   redfish://...host/power                 what each chassis draws
 *   redfish://...host/temperatures          every temperature
 *   redfish+http://...                      without TLS, for tests and for BMCs behind a tunnel
 *   https://user:password@host/redfish/v1/Chassis/1/Power#PowerControl[0].PowerConsumedWatts     Kwollect's form
 *
 * The path is that of a resource below /redfish/v1 (a leading /redfish/v1 is allowed, so that links can be copied), and
 * behind the # stands a JSON pointer (RFC 6901). Parameters stand before the #: `auth=basic`, `ca=FILE`, `insecure`,
 * `max_bytes=N`.
 */
import { type DeviceUrl, DeviceUrlError, type UrlContext } from '../driver.ts';
import { parseJsonPath } from '../shared/jsonPath.ts';
import { parsePointer } from '../shared/pointer.ts';
import {
  decode,
  decodeSecret,
  encodeForHttp,
  type Piece,
  parametersOf,
  parseBound,
  parseHost,
  parsePort,
  parseYesNo,
  readCa,
  safeUserinfo,
  splitUrl,
  type UrlParts,
} from '../shared/urlParts.ts';

export const URL_FORM = 'redfish://user:password@host/Chassis/1/Power#PowerControl/0/PowerConsumedWatts';
const HINT = 'write redfish://user:password@host/power, or a resource with a # and a pointer into it';

/** Largest answer that is read: whole resources have 10 to 100 kB, sensors with all their members a few hundred. */
const DEFAULT_MAX_BYTES = 2_000_000;

/** Groups of values that a path can ask for. */
export type Group = 'power' | 'temperatures';

export type RedfishTarget =
  /** `path` on the server, percent-encoded. */
  | { readonly kind: 'value'; readonly path: string; readonly pointer: readonly string[] }
  | { readonly kind: 'group'; readonly group: Group }
  /** The whole BMC, as `kw device discover` asks for it. */
  | { readonly kind: 'device' };

export interface RedfishUrl extends DeviceUrl {
  /** Scheme, host and port for the HTTP client, such as `https://[::1]:443`. */
  readonly origin: string;
  readonly target: RedfishTarget;
  /** Secrets. */
  readonly login: { readonly user: string; readonly password: string } | undefined;
  readonly auth: 'session' | 'basic';
  /** Certificates (PEM) to trust instead of the system's. */
  readonly ca: string | undefined;
  readonly insecure: boolean;
  /** Bound on one answer, in bytes. */
  readonly maxBytes: number;
  /** Pieces of the URL as they were written, for writing others of this BMC. The password may be one: a secret. */
  readonly written: { readonly user?: string; readonly password?: string; readonly query?: string };
}

/** The path of the service root (DSP0266 section 8.2): everything of a BMC lies below it. */
export const ROOT = '/redfish/v1';

/** @throws DeviceUrlError with the offset of what is wrong; its message never repeats a secret. */
export function parseRedfishUrl(text: string, context: UrlContext): RedfishUrl {
  const parts = splitUrl(text, HINT);
  const url = parseParts(parts, context, parseTarget(parts));
  if (url.target.kind === 'device')
    throw new DeviceUrlError('the URL names no resource', parts.path.offset, HINT);
  return url;
}

/** As parseRedfishUrl, for a whole BMC: path and pointer are ignored. */
export function parseRedfishDeviceUrl(text: string, context: UrlContext): RedfishUrl {
  return parseParts(splitUrl(text, HINT), context, { kind: 'device' });
}

function parseParts(parts: UrlParts, context: UrlContext, target: RedfishTarget): RedfishUrl {
  const https = parts.scheme !== 'redfish+http';
  const host = parseHost(parts.host, HINT);
  const port = parsePort(parts.port, https ? 443 : 80);
  const { auth, ca, insecure, maxBytes } = parseQuery(parts.query, context);
  if (!https && (ca !== undefined || insecure))
    throw new DeviceUrlError('ca and insecure are for redfish:// only', parts.query?.offset);
  const origin = `${https ? 'https' : 'http'}://${host}:${port}`;
  const login = loginOf(parts, context);
  const { user, password, path, query, fragment } = parts;
  const shownQuery = query === undefined ? '' : `?${query.text}`;
  const shownFragment = fragment === undefined ? '' : `#${fragment.text}`;
  return {
    scheme: https ? 'redfish' : parts.scheme,
    endpointKey: JSON.stringify([origin, login, auth, ca, insecure, maxBytes]),
    safeUrl: `${parts.scheme}://${safeUserinfo(parts)}${host}:${port}${path.text}${shownQuery}${shownFragment}`,
    hostPort: `${host}:${port}`,
    origin,
    target,
    login,
    auth,
    ca,
    insecure,
    maxBytes,
    written: {
      ...(user && { user: user.text }),
      ...(password && { password: password.text }),
      ...(query && { query: query.text }),
    },
  };
}

function parseTarget({ scheme, path, fragment }: UrlParts): RedfishTarget {
  const bare = path.text.replace(/\/+$/, '');
  const isKwollects = scheme === 'https';
  if (isKwollects && !bare.startsWith(`${ROOT}/`))
    throw new DeviceUrlError(
      'https:// is for resources of BMCs',
      path.offset,
      `write https://host${ROOT}/Chassis/..., or prometheus+https://host:port/ for an exporter`,
    );
  const below = bare.startsWith(`${ROOT}/`) ? bare.slice(ROOT.length) : bare;
  if (below === '' || below === ROOT) return { kind: 'device' };
  if (!isKwollects && (below === '/power' || below === '/temperatures')) {
    if (fragment !== undefined)
      throw new DeviceUrlError(`${below} stands for many values and takes no pointer`, fragment.offset - 1);
    return { kind: 'group', group: below === '/power' ? 'power' : 'temperatures' };
  }
  if (
    !/^[\x20-\x7e\u00a0-\uffff]+$/.test(below) ||
    /(?:^|\/)\.\.?(?:\/|$)/.test(decode({ ...path, text: below }))
  )
    throw new DeviceUrlError('this is no path of a resource', path.offset);
  if (fragment === undefined)
    throw new DeviceUrlError(
      'the URL does not say which value of the resource',
      path.offset + path.text.length,
      `write # and where it is, such as ${isKwollects ? '#PowerControl[0].PowerConsumedWatts' : '#PowerControl/0/PowerConsumedWatts'}`,
    );
  const question = fragment.text.indexOf('?');
  if (question >= 0)
    throw new DeviceUrlError(
      'parameters stand before the #',
      fragment.offset + question,
      'write host/path?insecure#pointer; a ? in a pointer is %3F',
    );
  const text = decode(fragment);
  const pointer = isKwollects ? parseJsonPath(text, fragment.offset) : parsePointer(text);
  if (pointer.length === 0) throw new DeviceUrlError('there is nothing behind the #', fragment.offset);
  return { kind: 'value', path: ROOT + encodeForHttp(below), pointer };
}

interface Options {
  auth: RedfishUrl['auth'];
  ca: string | undefined;
  insecure: boolean;
  maxBytes: number;
}

function parseQuery(query: Piece | undefined, context: UrlContext): Options {
  const options: Options = { auth: 'session', ca: undefined, insecure: false, maxBytes: DEFAULT_MAX_BYTES };
  for (const parameter of parametersOf(query)) {
    const { name, value, offset } = parameter;
    if (name === 'auth') {
      if (value.text !== 'session' && value.text !== 'basic')
        throw new DeviceUrlError('auth must be session or basic', value.offset);
      options.auth = value.text;
    } else if (name === 'ca') options.ca = readCa(value, context);
    else if (name === 'insecure') options.insecure = parseYesNo(parameter);
    else if (name === 'max_bytes') options.maxBytes = parseBound(parameter);
    else
      throw new DeviceUrlError(
        `unknown parameter ${JSON.stringify(name.slice(0, 40))}`,
        offset,
        'known ones: auth, ca, insecure, max_bytes',
      );
  }
  return options;
}

/** User and password of the URL or, if it has none, of the named credential. */
function loginOf(parts: UrlParts, context: UrlContext): RedfishUrl['login'] {
  const user = parts.user ? decodeSecret(parts.user, context) : context.credential?.user;
  const password = parts.user
    ? parts.password && decodeSecret(parts.password, context)
    : context.credential?.password;
  if (user === undefined || user === '') return undefined;
  return { user, password: password ?? '' };
}
