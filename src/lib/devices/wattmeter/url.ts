/**
 * URLs of wattmeters:
 *
 *   wattmetre+exec:///usr/bin/wattmetre-read?arg=/dev/ttyUSB0&arg=42&arg=20&mapping=/etc/kwollect/mapping.yaml
 *   wattmetre+tcp://host:port?mapping=FILE
 *   wattmetre+serial:///dev/ttyUSB0?reader=wattmetre-read&arg=42&arg=20&mapping=FILE
 *
 * Parameters: `arg` (once for each argument), `mapping` (a file that says which node is at which port), `quantity`
 * (power, current or voltage), `stall` (seconds without a frame after which the source is started again), `reader`.
 */
import { isAbsolute } from 'node:path';
import { type DeviceUrl, DeviceUrlError } from '../driver.ts';
import {
  decode,
  type Parameter,
  parametersOf,
  parseBound,
  parseHost,
  parsePort,
  splitUrl,
  type UrlParts,
} from '../shared/urlParts.ts';

export type Quantity = 'power' | 'current' | 'voltage';

/** Where the lines come from. */
export type WattmeterSource =
  | { readonly kind: 'program'; readonly program: string; readonly args: readonly string[] }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'stdin' };

export interface WattmeterUrl extends DeviceUrl {
  readonly source: WattmeterSource;
  /** File with the mapping of nodes to ports. */
  readonly mapping: string | undefined;
  readonly quantity: Quantity;
  /** Without a frame for that long, the source is started again. */
  readonly stallMs: number;
}

export const SCHEMES = ['wattmetre+exec', 'wattmetre+tcp', 'wattmetre+serial'] as const;

export const URL_FORM =
  'wattmetre+exec:///PROGRAM?arg=ARGUMENT&mapping=FILE, wattmetre+tcp://HOST:PORT?mapping=FILE or wattmetre+serial:///dev/ttyUSB0?mapping=FILE';

/** The reader of Kwollect's documentation, as it is called there: device, ports, milliseconds between frames. */
const READER = 'wattmetre-read';
const READER_ARGS = ['42', '20'];

const DEFAULT_STALL_MS = 10_000;
const QUANTITIES: readonly Quantity[] = ['power', 'current', 'voltage'];

/** @throws DeviceUrlError */
export function parseWattmeterUrl(text: string): WattmeterUrl {
  const parts = splitUrl(text, `write ${URL_FORM}`);
  const { scheme } = parts;
  if (parts.user) throw new DeviceUrlError('a wattmeter has no user', parts.user.offset);
  const options = readOptions(parts);
  const source = sourceOf(parts, options);
  const { mapping, quantity, stallMs } = options;
  const place = source.kind === 'tcp' ? `${source.host}:${source.port}` : decode(parts.path);
  return {
    scheme,
    // The quantity is not in it: several of one wattmeter come over one stream.
    endpointKey: JSON.stringify([source, mapping ?? null, stallMs]),
    safeUrl: text,
    hostPort: place,
    source,
    mapping,
    quantity,
    stallMs,
  };
}

interface Options {
  args: string[] | undefined;
  reader: string | undefined;
  mapping: string | undefined;
  quantity: Quantity;
  stallMs: number;
}

function readOptions(parts: UrlParts): Options {
  const options: Options = {
    args: undefined,
    reader: undefined,
    mapping: undefined,
    quantity: 'power',
    stallMs: DEFAULT_STALL_MS,
  };
  for (const parameter of parametersOf(parts.query)) readOption(options, parameter, parts.scheme);
  return options;
}

function readOption(options: Options, parameter: Parameter, scheme: string): void {
  const { name, offset, value } = parameter;
  const text = decode(value);
  if (text.includes('\0')) throw new DeviceUrlError('there is no such character', value.offset);
  if (name === 'arg' && scheme !== 'wattmetre+tcp') {
    options.args = [...(options.args ?? []), text];
  } else if (name === 'reader' && scheme === 'wattmetre+serial') {
    if (text === '') throw new DeviceUrlError('reader names no program', value.offset);
    options.reader = text;
  } else if (name === 'mapping') {
    if (!isAbsolute(text))
      throw new DeviceUrlError(
        'mapping is not a whole path',
        value.offset,
        'write mapping=/etc/kwollect/mapping.yaml',
      );
    options.mapping = text;
  } else if (name === 'quantity') {
    const quantity = QUANTITIES.find((known) => known === text);
    if (!quantity)
      throw new DeviceUrlError(
        'a wattmeter does not measure that',
        value.offset,
        `one of ${QUANTITIES.join(', ')}`,
      );
    options.quantity = quantity;
  } else if (name === 'stall') {
    options.stallMs = parseBound(parameter) * 1000;
  } else {
    throw new DeviceUrlError(
      `${scheme}:// has no option ${JSON.stringify(name)}`,
      offset,
      `the form is ${URL_FORM}`,
    );
  }
}

function sourceOf(parts: UrlParts, options: Options): WattmeterSource {
  const { scheme, host, path, port } = parts;
  if (scheme === 'wattmetre+tcp') {
    const hint = 'write wattmetre+tcp://HOST:PORT';
    const name = parseHost(host, hint);
    if (port === undefined)
      throw new DeviceUrlError('the URL names no port', host.offset + host.text.length, hint);
    if (path.text.length > 1)
      throw new DeviceUrlError('nothing may stand behind the port', path.offset, hint);
    return { kind: 'tcp', host: name, port: parsePort(port, 0) };
  }
  const what = scheme === 'wattmetre+exec' ? 'a program' : 'a device';
  const file = decode(path);
  if (host.text !== '')
    throw new DeviceUrlError(
      `${what} has no host`,
      host.offset,
      `write three slashes: ${scheme}:///${host.text}`,
    );
  if (file.length < 2) throw new DeviceUrlError(`the URL names ${what.replace('a', 'no')}`, path.offset);
  if (file.includes('\0')) throw new DeviceUrlError('there is no such character', path.offset);
  if (scheme === 'wattmetre+exec') return { kind: 'program', program: file, args: options.args ?? [] };
  return {
    kind: 'program',
    program: options.reader ?? READER,
    args: [file, ...(options.args ?? READER_ARGS)],
  };
}

/** The lines that come on standard input: `wattmetre-read | kw collect wattmetre`. */
export function stdinUrl(mapping: string | undefined, stallMs = DEFAULT_STALL_MS): WattmeterUrl {
  return {
    scheme: 'wattmetre',
    endpointKey: 'stdin',
    safeUrl: 'standard input',
    hostPort: 'standard input',
    source: { kind: 'stdin' },
    mapping,
    quantity: 'power',
    stallMs,
  };
}
