/**
 * The URL of a topic, or of many, at a broker:
 *
 *   mqtt://[user:password@]broker[:port]/topic/with/levels[?path=$.a.b&qos=1]
 *   mqtts://...                                              with TLS
 *
 * `+` stands for one level of the topic, `#` for all that follow; a `?` in a topic is %3F.
 */
import { type DeviceUrl, DeviceUrlError, type UrlContext } from '../driver.ts';
import { parseJsonPath } from '../shared/jsonPath.ts';
import {
  decode,
  decodeSecret,
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
import { filterProblem } from './topic.ts';

export const URL_FORM = 'mqtt://[user:password@]broker[:port]/topic[?path=$.a.b&qos=0|1]';
const HINT = `write ${URL_FORM}`;
const DEFAULT_MAX_BYTES = 65_536;

export interface MqttUrl extends DeviceUrl {
  /** For the socket: an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** Secrets. */
  readonly login: { readonly user: string; readonly password: string } | undefined;
  readonly ca: string | undefined;
  readonly insecure: boolean;
  /** Bound on one message. */
  readonly maxBytes: number;
  /** Topic or filter. */
  readonly filter: string;
  /** Where the value stands in JSON; undefined when the whole message is the value. */
  readonly path: readonly string[] | undefined;
  readonly qos: 0 | 1;
}

/** @throws DeviceUrlError; its message never repeats a secret */
export function parseMqttUrl(text: string, context: UrlContext): MqttUrl {
  const parts = splitUrl(text, HINT);
  const tls = parts.scheme === 'mqtts';
  const host = parseHost(parts.host, HINT);
  const port = parsePort(parts.port, tls ? 8883 : 1883);
  const { topic, query } = topicOf(parts);
  const filter = decode(topic);
  const problem = filterProblem(filter);
  if (problem !== undefined) throw new DeviceUrlError(problem, topic.offset, HINT);
  const { path, qos, ca, insecure, maxBytes } = parseQuery(query, context);
  if (!tls && (ca !== undefined || insecure))
    throw new DeviceUrlError('ca and insecure are for mqtts:// only', query?.offset);
  const login = loginOf(parts, context);
  const shownQuery = query === undefined ? '' : `?${query.text}`;
  return {
    scheme: parts.scheme,
    endpointKey: JSON.stringify([host, port, tls, login, ca, insecure, maxBytes]),
    safeUrl: `${parts.scheme}://${safeUserinfo(parts)}${host}:${port}/${topic.text}${shownQuery}`,
    hostPort: `${host}:${port}`,
    host: host.replace(/^\[(.*)\]$/, '$1'),
    port,
    tls,
    login,
    ca,
    insecure,
    maxBytes,
    filter,
    path,
    qos,
  };
}

/** The `#` of a filter begins what other URLs call a fragment; parameters stand behind it. */
function topicOf({ path, query, fragment }: UrlParts): { topic: Piece; query: Piece | undefined } {
  const topic = { text: path.text.slice(1), offset: path.offset + 1 };
  if (fragment === undefined) return { topic, query };
  if (query !== undefined)
    throw new DeviceUrlError('a # stands at the end of a topic only', fragment.offset - 1, 'write # as %23');
  if (fragment.text !== '' && !fragment.text.startsWith('?'))
    throw new DeviceUrlError('# stands at the end of a topic only', fragment.offset - 1);
  const parameters =
    fragment.text === '' ? undefined : { text: fragment.text.slice(1), offset: fragment.offset + 1 };
  return { topic: { ...topic, text: `${topic.text}#` }, query: parameters };
}

interface Options {
  path: readonly string[] | undefined;
  qos: 0 | 1;
  ca: string | undefined;
  insecure: boolean;
  maxBytes: number;
}

function parseQuery(query: Piece | undefined, context: UrlContext): Options {
  const options: Options = {
    path: undefined,
    qos: 0,
    ca: undefined,
    insecure: false,
    maxBytes: DEFAULT_MAX_BYTES,
  };
  for (const parameter of parametersOf(query)) {
    const { name, value, offset } = parameter;
    if (name === 'path') options.path = pathOf(value);
    else if (name === 'qos') {
      if (value.text !== '0' && value.text !== '1')
        throw new DeviceUrlError('qos must be 0 or 1', value.offset);
      options.qos = value.text === '1' ? 1 : 0;
    } else if (name === 'ca') options.ca = readCa(value, context);
    else if (name === 'insecure') options.insecure = parseYesNo(parameter);
    else if (name === 'max_bytes') options.maxBytes = parseBound(parameter);
    else
      throw new DeviceUrlError(
        `unknown parameter ${JSON.stringify(name.slice(0, 40))}`,
        offset,
        'known ones: path, qos, ca, insecure, max_bytes',
      );
  }
  return options;
}

function pathOf(value: Piece): readonly string[] {
  const path = parseJsonPath(decode(value), value.offset);
  if (path.length === 0)
    throw new DeviceUrlError('path is no path to one value', value.offset, 'write path=$.a.b');
  return path;
}

function loginOf(parts: UrlParts, context: UrlContext): MqttUrl['login'] {
  const user = parts.user ? decodeSecret(parts.user, context) : context.credential?.user;
  const password = parts.user
    ? parts.password && decodeSecret(parts.password, context)
    : context.credential?.password;
  return user === undefined || user === '' ? undefined : { user, password: password ?? '' };
}
