/** Which `kw serve` is meant, and how to speak to it: from the settings. */
import { readFileSync } from 'node:fs';
import type { LookupFunction } from 'node:net';
import type { Settings } from '../config/settingsModel.ts';
import { EXIT_USAGE, KwError, systemWords } from '../errors.ts';

export interface KwServer {
  /** Ends with a slash; a path prefix is kept. Without user and password. */
  readonly base: URL;
  /** For messages: holds no secret. */
  readonly label: string;
  /** Where the URL was written, such as `KW_URL`. */
  readonly namedBy: string;
  /** A secret. Undefined: nobody says who asks. */
  readonly authorization: string | undefined;
  /** Whether that is a token, as opposed to a user and a password of the URL. */
  readonly hasToken: boolean;
  /** Authorities to believe instead of those that Node comes with, PEM. */
  readonly ca: string | undefined;
  /** How to look up names; undefined is Node's way. */
  readonly lookup?: LookupFunction | undefined;
  /** What is left until an answer is of no use any more; undefined is as long as it takes. */
  readonly remainingMs?: (() => number) | undefined;
}

export type ServerSettings = Pick<Settings, 'url' | 'urlNamedBy' | 'token' | 'caFile'>;

/** @throws KwError BAD_URL, BAD_TOKEN, BAD_CA_FILE, TOKEN_IN_CLEAR, BAD_REFERENCE */
export function kwServer(settings: ServerSettings, env: NodeJS.ProcessEnv = process.env): KwServer {
  const namedBy = settings.urlNamedBy ?? 'KW_URL';
  const url = parseUrl(settings.url ?? '', namedBy);
  const { token } = settings;
  if (token && !/^[\x21-\x7e]+$/.test(token)) {
    throw new KwError('the token holds characters that no token has', {
      code: 'BAD_TOKEN',
      hint: 'check KW_TOKEN, or token in kw.yaml, for blanks and line ends',
    });
  }
  const authorization = token ? `Bearer ${token}` : basic(url);
  url.username = '';
  url.password = '';
  if (
    authorization !== undefined &&
    url.protocol === 'http:' &&
    !isHere(url.hostname) &&
    !env.KW_INSECURE_HTTP
  ) {
    throw new KwError(`${url.href} is not encrypted: everybody on the way could read the token`, {
      code: 'TOKEN_IN_CLEAR',
      exit: EXIT_USAGE,
      hint: `write https:// in ${namedBy}; where the network is trusted, set KW_INSECURE_HTTP=1`,
    });
  }
  return {
    base: url,
    label: url.href.replace(/\/$/, ''),
    namedBy,
    authorization,
    hasToken: Boolean(token),
    ca: settings.caFile === undefined ? undefined : readCa(settings.caFile),
  };
}

function parseUrl(text: string, namedBy: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const problem =
    url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === ''
      ? 'is no HTTP address'
      : url.search !== '' || url.hash !== ''
        ? 'holds more than an address and a path'
        : undefined;
  // The text itself may hold a password.
  if (url === undefined || problem !== undefined) {
    throw new KwError(`${namedBy} ${problem}`, {
      code: 'BAD_URL',
      exit: EXIT_USAGE,
      hint: 'write https://HOST, https://HOST:PORT or https://HOST/PATH, as kw serve or the proxy before it has it',
    });
  }
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

/** User and password in the URL are for the proxy before the server. */
function basic({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return `Basic ${Buffer.from(pair).toString('base64')}`;
}

function isHere(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname);
}

function readCa(path: string): string {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
    throw new Error('it holds no certificate (PEM)');
  } catch (error) {
    throw new KwError(`cannot use the CA file ${path}: ${error instanceof Error ? systemWords(error) : ''}`, {
      code: 'BAD_CA_FILE',
      hint: 'check KW_CA_FILE, or ca_file in kw.yaml',
    });
  }
}
