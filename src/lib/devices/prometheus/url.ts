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
import { type DeviceUrl, DeviceUrlError, type UrlContext } from '../driver.ts';
import {
  decode,
  decodeLoosely,
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
  withoutReferences,
} from '../shared/urlParts.ts';

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

const URL_FORM_HINT = 'write prometheus://host:port/ for all metrics of a page';

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
  for (const parameter of parametersOf(query)) {
    const { name, value } = parameter;
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
        options.insecure = parseYesNo(parameter);
        break;
      case 'gzip':
        options.gzip = parseYesNo(parameter);
        break;
      case 'max_bytes':
        options.maxBytes = parseBound(parameter);
        break;
      case 'max_series':
        options.maxSeries = parseBound(parameter);
        break;
      default:
        options.passedOn.push(encodeForHttp(parameter.text));
    }
  }
  return options;
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
      const written = text.split('=', 1)[0] ?? '';
      const name = decodeLoosely({ text: written, offset: query.offset + start });
      return name === 'bearer' || SECRET_NAME.test(name) ? `${written}=***` : text;
    });
  return `?${shown.join('&')}`;
}

/** The Authorization header from the URL or, if it has none, from the named credential. */
function authorizationOf(
  parts: UrlParts,
  bearer: string | undefined,
  context: UrlContext,
): string | undefined {
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
  const parts = splitUrl(text, URL_FORM_HINT);
  if (parts.fragment !== undefined)
    throw new DeviceUrlError('a URL may not contain #', parts.fragment.offset - 1, 'write # as %23');
  const host = parseHost(parts.host, URL_FORM_HINT);
  const port = parsePort(parts.port, DEFAULT_PORT);
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
  const path = encodeForHttp(options.path);
  const pagePath =
    options.passedOn.length === 0
      ? path
      : `${path}${path.includes('?') ? '&' : '?'}${options.passedOn.join('&')}`;
  const { ca, insecure, gzip, maxBytes, maxSeries } = options;
  return {
    scheme: parts.scheme,
    endpointKey: JSON.stringify([origin, pagePath, authorization, ca, insecure, gzip, maxBytes, maxSeries]),
    safeUrl: `${parts.scheme}://${safeUserinfo(parts)}${host}:${port}${parts.path.text || '/'}${safeQuery(parts.query)}`,
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
