/**
 * Fetches the page of one exporter over one kept connection, within bounds of time and size.
 *
 * undici's dispatch interface is used directly: no streams, no promises a chunk. The library is loaded with the first
 * session, so that commands which only read the configuration do not pay for it.
 */
import { gunzip } from 'node:zlib';
import type { Client, Dispatcher } from 'undici';
import type { ProblemKind } from '../driver.ts';
import { quote } from './tally.ts';
import type { PrometheusUrl } from './url.ts';
import type { ExpositionFormat } from './valueText.ts';

/**
 * The text format first: exporters in Go rename counters in OpenMetrics (`x` becomes `x_total`), and metrics should
 * have the names that Kwollect gave them.
 */
const ACCEPT = 'text/plain;version=0.0.4;q=1,application/openmetrics-text;version=1.0.0;q=0.8,*/*;q=0.1';

/** Idle time after which the connection is given up; exporters in Go keep theirs open without a bound. */
const KEEP_ALIVE_MS = 300_000;
/** Bounds connects that outlive their poll. */
const CONNECT_TIMEOUT_MS = 10_000;
const GUNZIP_CHUNK_BYTES = 128 * 1024;

export interface Page {
  readonly bytes: Buffer;
  readonly format: ExpositionFormat;
  /** Middle between the request and the first byte of the answer. */
  readonly timestampUs: number;
}

/** Why there is no page. */
export interface FetchFailure {
  readonly kind: ProblemKind;
  readonly message: string;
}

/** What an exporter answered, as far as it came: for people. */
export interface Answer {
  /** The IP address behind the name, and its port. */
  readonly address: { readonly ip: string; readonly port: number } | undefined;
  readonly status: number | undefined;
  readonly contentType: string;
  readonly contentEncoding: string;
  /** Of the body, as sent. */
  readonly receivedBytes: number;
}

const NO_RESPONSE = { status: undefined, contentType: '', contentEncoding: '', receivedBytes: 0 };

/** What kw itself decided, as against what the network did. */
class FetchError extends Error {
  readonly kind: ProblemKind;
  constructor(kind: ProblemKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

interface Body {
  readonly chunks: Buffer[];
  readonly gzip: boolean;
  readonly format: ExpositionFormat;
  readonly timestampUs: number;
}

/** The answer to one request. Calls exactly one of `done` and `failed` first; later calls change nothing. */
class ResponseHandler implements Dispatcher.DispatchHandler {
  readonly #maxBytes: number;
  readonly #nowUs: () => number;
  readonly #done: (body: Body) => void;
  readonly #failed: (error: Error) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #startUs = 0;
  #body: Body | undefined;
  #size = 0;
  #status: number | undefined;
  #headers: Headers = {};

  constructor(
    maxBytes: number,
    nowUs: () => number,
    done: (body: Body) => void,
    failed: (error: Error) => void,
  ) {
    this.#maxBytes = maxBytes;
    this.#nowUs = nowUs;
    this.#done = done;
    this.#failed = failed;
  }

  /** What came until now. */
  get answer(): Omit<Answer, 'address'> {
    return {
      status: this.#status,
      contentType: headerOf(this.#headers, 'content-type'),
      contentEncoding: headerOf(this.#headers, 'content-encoding'),
      receivedBytes: this.#size,
    };
  }

  /** False when the request is not yet on its way. */
  abort(error: Error): boolean {
    this.#controller?.abort(error);
    return this.#controller !== undefined;
  }

  /** The connection stands and the request is about to be written: the clock starts here, not at the connect. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#startUs = this.#nowUs();
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number, headers: Headers): void {
    if (statusCode < 200) return;
    this.#status = statusCode;
    this.#headers = headers;
    try {
      checkStatus(statusCode, headers);
      this.#body = {
        chunks: [],
        gzip: isGzip(headers),
        format: formatOf(headers),
        timestampUs: Math.round((this.#startUs + this.#nowUs()) / 2),
      };
    } catch (error) {
      controller.abort(error as Error);
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#body === undefined) return;
    this.#size += chunk.length;
    if (this.#size > this.#maxBytes) controller.abort(tooLarge(this.#maxBytes));
    else this.#body.chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (this.#body !== undefined) this.#done(this.#body);
    else this.#failed(new FetchError('protocol', 'an answer without a status'));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#failed(error);
  }
}

/** A CommonJS package: bundled, it has its default export only. */
async function loadUndici() {
  return (await import('undici')).default;
}

/** The connection to one exporter. */
export class PageFetcher {
  readonly #url: PrometheusUrl;
  readonly #nowUs: () => number;
  readonly #headers: Record<string, string>;
  #client: Client | undefined;
  #closed = false;
  #address: Answer['address'];
  #lastResponse: Omit<Answer, 'address'> = NO_RESPONSE;
  /** Ends the request that is under way. */
  #abort: ((error: FetchError) => void) | undefined;

  constructor(url: PrometheusUrl, nowUs: () => number) {
    this.#url = url;
    this.#nowUs = nowUs;
    // Loaded ahead of the first poll, whose timestamp would suffer.
    void loadUndici();
    this.#headers = {
      accept: ACCEPT,
      'accept-encoding': url.gzip ? 'gzip' : 'identity',
      'user-agent': 'kw',
      ...(url.authorization === undefined ? {} : { authorization: url.authorization }),
    };
  }

  /** One GET, resolved within `timeoutMs`; never rejects for anything an exporter or a network can do. */
  async fetch(timeoutMs: number): Promise<Page | FetchFailure> {
    const deadline = performance.now() + timeoutMs;
    try {
      const body = await this.#requestTwice(deadline);
      const bytes = body.gzip
        ? await decompress(Buffer.concat(body.chunks), this.#url.maxBytes)
        : body.chunks.length === 1 && body.chunks[0] !== undefined
          ? body.chunks[0]
          : Buffer.concat(body.chunks);
      return { bytes, format: body.format, timestampUs: body.timestampUs };
    } catch (error) {
      return failureOf(error);
    }
  }

  /** The last answer. */
  get answer(): Answer {
    return { address: this.#address, ...this.#lastResponse };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#abort?.(new FetchError('refused', 'the session was closed'));
    await this.#client?.destroy();
  }

  /** An exporter may close an idle connection just when it is used again: that deserves a second try. */
  async #requestTwice(deadline: number): Promise<Body> {
    const reused = this.#client !== undefined;
    try {
      return await this.#request(deadline);
    } catch (error) {
      if (!reused || this.#closed || !RESET_CODES.has(codeOf(error))) throw error;
      return await this.#request(deadline);
    }
  }

  async #request(deadline: number): Promise<Body> {
    const client = await this.#connected();
    if (this.#closed) throw new FetchError('refused', 'the session was closed');
    let timer: NodeJS.Timeout | undefined;
    let handler: ResponseHandler | undefined;
    this.#lastResponse = NO_RESPONSE;
    try {
      return await new Promise<Body>((resolve, reject) => {
        const response = new ResponseHandler(this.#url.maxBytes, this.#nowUs, resolve, reject);
        handler = response;
        this.#abort = (error) => {
          reject(error);
          if (response.abort(error)) return;
          // Still connecting: there is no request to end, only the client.
          this.#client = undefined;
          void client.destroy(error);
        };
        timer = setTimeout(
          () => this.#abort?.(new FetchError('timeout', 'no complete answer in time')),
          Math.max(0, deadline - performance.now()),
        );
        client.dispatch({ path: this.#url.pagePath, method: 'GET', headers: this.#headers }, response);
      });
    } finally {
      clearTimeout(timer);
      this.#abort = undefined;
      // Not the handler itself, which holds the page.
      if (handler) this.#lastResponse = handler.answer;
    }
  }

  async #connected(): Promise<Client> {
    if (this.#client === undefined) {
      const undici = await loadUndici();
      const { origin, ca, insecure } = this.#url;
      const connect = undici.buildConnector({
        timeout: CONNECT_TIMEOUT_MS,
        rejectUnauthorized: !insecure,
        ...(ca === undefined ? {} : { ca }),
      });
      this.#client = new undici.Client(origin, {
        pipelining: 1,
        keepAliveTimeout: KEEP_ALIVE_MS,
        keepAliveMaxTimeout: KEEP_ALIVE_MS,
        // The deadline of the poll bounds all of them.
        headersTimeout: 0,
        bodyTimeout: 0,
        connect: (options, done) =>
          connect(options, (...outcome) => {
            const { remoteAddress: ip, remotePort: port } = outcome[1] ?? {};
            this.#address = ip === undefined || port === undefined ? undefined : { ip, port };
            done(...outcome);
          }),
      });
    }
    return this.#client;
  }
}

type Headers = Record<string, string | string[] | undefined>;

function headerOf(headers: Headers, name: string): string {
  const value = headers[name];
  return (Array.isArray(value) ? value.join(', ') : (value ?? '')).trim();
}

function checkStatus(statusCode: number, headers: Headers): void {
  if (statusCode === 200) return;
  if (statusCode === 401 || statusCode === 403)
    throw new FetchError(
      'auth',
      `answered HTTP status ${statusCode}: user, password or token are missing or wrong`,
    );
  const location = headerOf(headers, 'location');
  if (statusCode >= 300 && statusCode < 400 && location !== '') {
    throw new FetchError(
      'protocol',
      `answered HTTP status ${statusCode}, a redirect to ${quote(location)}, which is not followed: give that address`,
    );
  }
  const hint = statusCode === 404 ? ': is the page elsewhere (path=)?' : '';
  throw new FetchError('protocol', `answered HTTP status ${statusCode}${hint}`);
}

function isGzip(headers: Headers): boolean {
  const encoding = headerOf(headers, 'content-encoding').toLowerCase();
  if (encoding === 'gzip' || encoding === 'x-gzip') return true;
  if (encoding === '' || encoding === 'identity') return false;
  throw new FetchError(
    'protocol',
    `answered in content encoding ${quote(encoding)}, which kw did not ask for`,
  );
}

function formatOf(headers: Headers): ExpositionFormat {
  const type = headerOf(headers, 'content-type').toLowerCase();
  if (type.startsWith('application/openmetrics-text')) return 'openmetrics';
  if (type.startsWith('text/html') || type.includes('protobuf') || type.startsWith('application/json'))
    throw new FetchError('protocol', `answered ${quote(type)}, which is no page of metrics (see path=)`);
  return 'text';
}

function tooLarge(maxBytes: number): FetchError {
  return new FetchError('limit', `the page has more than ${maxBytes} bytes (see max_bytes)`);
}

/** In the thread pool, in pieces; stops at the first piece beyond the bound, so that a bomb costs no more than a page. */
function decompress(compressed: Buffer, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    gunzip(compressed, { maxOutputLength: maxBytes, chunkSize: GUNZIP_CHUNK_BYTES }, (error, bytes) => {
      if (error === null) resolve(bytes);
      else if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') reject(tooLarge(maxBytes));
      else reject(new FetchError('protocol', 'the compressed page is damaged'));
    });
  });
}

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

const RESET_CODES = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

const REFUSED_CODES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused the connection: does the exporter run?',
  EHOSTUNREACH: 'cannot be reached',
  ENETUNREACH: 'cannot be reached: no route to its network',
  ENOTFOUND: 'cannot be found: no such host name',
  EAI_AGAIN: 'cannot be found: the name server does not answer',
};

/** Node's codes of certificates that are not trusted. */
const CERTIFICATE_CODE = /CERT|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH/;

function failureOf(error: unknown): FetchFailure {
  if (error instanceof FetchError) return { kind: error.kind, message: error.message };
  const code = codeOf(error);
  const refused = REFUSED_CODES[code];
  if (refused !== undefined) return { kind: 'refused', message: refused };
  if (code === 'ETIMEDOUT' || code === 'UND_ERR_CONNECT_TIMEOUT')
    return { kind: 'timeout', message: 'did not accept the connection in time' };
  if (CERTIFICATE_CODE.test(code))
    return { kind: 'auth', message: `has a certificate that is not trusted (${code}): see ca= and insecure` };
  if (RESET_CODES.has(code))
    return { kind: 'protocol', message: 'closed the connection before its answer was complete' };
  if (code === 'EPROTO' || code.startsWith('ERR_SSL'))
    return { kind: 'protocol', message: 'does not speak TLS as kw does: is it prometheus:// without https?' };
  // No exporter causes these: a defect of kw, which should be seen as one.
  if (code === '' && (error instanceof TypeError || error instanceof ReferenceError)) throw error;
  const text = error instanceof Error ? error.message : String(error);
  return { kind: 'protocol', message: `answered something that is no HTTP: ${quote(text)}` };
}
