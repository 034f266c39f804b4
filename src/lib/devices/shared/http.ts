/**
 * One kept HTTP connection to one device: requests one after another, within bounds of time and size.
 *
 * undici's dispatch interface is used directly: no streams, no promises a chunk. The library is loaded with the first
 * session, so that commands which only read the configuration do not pay for it.
 */
import { gunzip } from 'node:zlib';
import type { Client, Dispatcher } from 'undici';
import type { ProblemKind, SessionContext } from '../driver.ts';
import { HttpTrace } from './httpTrace.ts';
import { codeOf, type FailureWords, isReset, type NetworkFailure, networkFailure } from './networkFailure.ts';
import { quote } from './tally.ts';

/** Idle time after which the connection is given up, unless the device says less; exporters in Go have no bound. */
const KEEP_ALIVE_MS = 300_000;
/** Bounds connects that outlive their poll. */
const CONNECT_TIMEOUT_MS = 10_000;
const GUNZIP_CHUNK_BYTES = 128 * 1024;

export type Headers = Record<string, string | string[] | undefined>;

export interface HttpEndpoint {
  /** Scheme, host and port, such as `https://[::1]:9100`. */
  readonly origin: string;
  /** Certificates (PEM) to trust instead of the system's. */
  readonly ca: string | undefined;
  /** Accept any certificate. */
  readonly insecure: boolean;
  /** Bound on one answer after decompression, in bytes. */
  readonly maxBytes: number;
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Path and query, percent-encoded. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Looks at an answer before its body comes; throws an HttpError to refuse it. */
  readonly accept?: (status: number, headers: Headers) => void;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: Headers;
  /** Decompressed. */
  readonly bytes: Buffer;
  /** Middle between the request and the first byte of the answer. */
  readonly timestampUs: number;
}

/** What the texts of failures call things. */
export interface HttpWords extends FailureWords {
  /** `page`, `resource`. */
  readonly thing: string;
}

/** Why there is no answer. */
export type HttpFailure = NetworkFailure;

/** The last answer, as far as it came: for people. */
export interface HttpTrail {
  /** The IP address behind the name, and its port. */
  readonly address: { readonly ip: string; readonly port: number } | undefined;
  readonly status: number | undefined;
  readonly headers: Headers;
  /** Of the body, as sent. */
  readonly receivedBytes: number;
}

/** What kw itself decided, as against what the network did. */
export class HttpError extends Error {
  readonly kind: ProblemKind;
  constructor(kind: ProblemKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

type RawResponse = Omit<HttpResponse, 'bytes'> & { readonly chunks: readonly Buffer[] };
type Trail = Omit<HttpTrail, 'address'>;

const NO_RESPONSE: Trail = { status: undefined, headers: {}, receivedBytes: 0 };

/** The answer to one request. Calls exactly one of `done` and `failed` first; later calls change nothing. */
class ResponseHandler implements Dispatcher.DispatchHandler {
  readonly #accept: HttpRequest['accept'];
  readonly #tooLarge: () => HttpError;
  readonly #maxBytes: number;
  readonly #nowUs: () => number;
  readonly #done: (response: RawResponse) => void;
  readonly #failed: (error: Error) => void;
  readonly #sent: () => void;
  #controller: Dispatcher.DispatchController | undefined;
  #startUs = 0;
  #timestampUs = 0;
  #chunks: Buffer[] | undefined;
  #size = 0;
  #status: number | undefined;
  #headers: Headers = {};

  constructor(
    request: HttpRequest,
    bound: { readonly maxBytes: number; readonly tooLarge: () => HttpError },
    nowUs: () => number,
    done: (response: RawResponse) => void,
    failed: (error: Error) => void,
    sent: () => void,
  ) {
    this.#accept = request.accept;
    this.#maxBytes = bound.maxBytes;
    this.#tooLarge = bound.tooLarge;
    this.#nowUs = nowUs;
    this.#done = done;
    this.#failed = failed;
    this.#sent = sent;
  }

  /** What came until now. */
  get trail(): Trail {
    return { status: this.#status, headers: this.#headers, receivedBytes: this.#size };
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
    this.#sent();
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number, headers: Headers): void {
    if (statusCode < 200) return;
    this.#status = statusCode;
    this.#headers = headers;
    try {
      this.#accept?.(statusCode, headers);
      this.#chunks = [];
      this.#timestampUs = Math.round((this.#startUs + this.#nowUs()) / 2);
    } catch (error) {
      controller.abort(error as Error);
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#chunks === undefined) return;
    this.#size += chunk.length;
    if (this.#size > this.#maxBytes) controller.abort(this.#tooLarge());
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    if (this.#chunks === undefined || this.#status === undefined) {
      this.#failed(new HttpError('protocol', 'an answer without a status'));
      return;
    }
    this.#done({
      status: this.#status,
      headers: this.#headers,
      chunks: this.#chunks,
      timestampUs: this.#timestampUs,
    });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#failed(error);
  }
}

/** A CommonJS package: bundled, it has its default export only. */
async function loadUndici() {
  return (await import('undici')).default;
}

export class HttpConnection {
  readonly #endpoint: HttpEndpoint;
  readonly #words: HttpWords;
  readonly #nowUs: () => number;
  readonly #trace: HttpTrace | undefined;
  #client: Client | undefined;
  #closed = false;
  #address: HttpTrail['address'];
  #trail: Trail = NO_RESPONSE;
  /** Ends the request that is under way. */
  #abort: ((error: HttpError) => void) | undefined;

  /** `trace` is told of look-up, connection, TLS and each request. */
  constructor(
    endpoint: HttpEndpoint,
    words: HttpWords,
    nowUs: () => number,
    trace?: SessionContext['trace'] | undefined,
  ) {
    this.#endpoint = endpoint;
    this.#words = words;
    this.#nowUs = nowUs;
    this.#trace = trace && new HttpTrace(endpoint, trace);
    // Loaded ahead of the first poll, whose timestamp would suffer.
    void loadUndici();
  }

  /**
   * One request, over within `timeoutMs`. Any status is an answer unless `accept` refuses it.
   * Never rejects for anything that a device or a network can do.
   */
  async request(request: HttpRequest, timeoutMs: number): Promise<HttpResponse | HttpFailure> {
    const deadline = performance.now() + timeoutMs;
    try {
      const { chunks, ...response } = await this.#sendTwice(request, deadline);
      const bytes = await this.#bodyOf(chunks, response.headers);
      this.#trace?.answered(response.status, bytes.length);
      return { ...response, bytes };
    } catch (error) {
      const failure = failureOf(error, this.#words);
      this.#trace?.failed(failure.kind, failure.message);
      return failure;
    }
  }

  /** The last answer. */
  get trail(): HttpTrail {
    return { address: this.#address, ...this.#trail };
  }

  /** Ends the request that is under way; more may follow. */
  abort(): void {
    this.#abort?.(new HttpError('refused', 'the session was closed'));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.abort();
    const client = this.#client;
    this.#client = undefined;
    if (client) this.#trace?.closed();
    await client?.destroy();
  }

  /** A device may close an idle connection just when it is used again: what may be repeated deserves a second try. */
  async #sendTwice(request: HttpRequest, deadline: number): Promise<RawResponse> {
    const reused = this.#client !== undefined && request.method === 'GET';
    try {
      return await this.#send(request, deadline);
    } catch (error) {
      if (!reused || this.#closed || !isBroken(error)) throw error;
      return await this.#send(request, deadline);
    }
  }

  async #send(request: HttpRequest, deadline: number): Promise<RawResponse> {
    const client = await this.#connected();
    if (this.#closed) throw new HttpError('refused', 'the session was closed');
    const { maxBytes } = this.#endpoint;
    let timer: NodeJS.Timeout | undefined;
    let handler: ResponseHandler | undefined;
    this.#trail = NO_RESPONSE;
    try {
      return await new Promise<RawResponse>((resolve, reject) => {
        const bound = { maxBytes, tooLarge: () => tooLarge(maxBytes, this.#words) };
        const sent = () => this.#trace?.asked(request);
        const response = new ResponseHandler(request, bound, this.#nowUs, resolve, reject, sent);
        handler = response;
        this.#abort = (error) => {
          reject(error);
          if (response.abort(error)) return;
          // Still connecting: there is no request to end, only the client.
          this.#client = undefined;
          void client.destroy(error);
        };
        timer = setTimeout(
          () => this.#abort?.(new HttpError('timeout', 'no complete answer in time')),
          Math.max(0, deadline - performance.now()),
        );
        const { method, path, headers, body } = request;
        client.dispatch({ path, method, headers, ...(body === undefined ? {} : { body }) }, response);
      });
    } finally {
      clearTimeout(timer);
      this.#abort = undefined;
      // Not the handler itself, which holds the body.
      if (handler) this.#trail = handler.trail;
    }
  }

  async #bodyOf(chunks: readonly Buffer[], headers: Headers): Promise<Buffer> {
    const [first] = chunks;
    const whole = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
    const encoding = headerOf(headers, 'content-encoding').toLowerCase();
    if (encoding === 'gzip' || encoding === 'x-gzip')
      return await decompress(whole, this.#endpoint.maxBytes, this.#words);
    return whole;
  }

  async #connected(): Promise<Client> {
    if (this.#client === undefined) {
      const undici = await loadUndici();
      const { origin, ca, insecure } = this.#endpoint;
      const connect = undici.buildConnector({
        timeout: CONNECT_TIMEOUT_MS,
        rejectUnauthorized: !insecure,
        ...(ca === undefined ? {} : { ca }),
        ...(this.#trace && { lookup: this.#trace.lookup }),
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
            if (outcome[1]) this.#trace?.connected(outcome[1]);
            done(...outcome);
          }),
      });
    }
    return this.#client;
  }
}

/** The text of a header, blank when it is missing; several of one name are joined. */
export function headerOf(headers: Headers, name: string): string {
  const value = headers[name];
  return (Array.isArray(value) ? value.join(', ') : (value ?? '')).trim();
}

/** Throws an HttpError for an encoding other than gzip, which is undone, and none. */
export function checkEncoding(headers: Headers): void {
  const encoding = headerOf(headers, 'content-encoding').toLowerCase();
  if (['', 'identity', 'gzip', 'x-gzip'].includes(encoding)) return;
  throw new HttpError(
    'protocol',
    `answered in content encoding ${quote(encoding)}, which kw did not ask for`,
  );
}

function tooLarge(maxBytes: number, { thing }: HttpWords): HttpError {
  return new HttpError('limit', `the ${thing} has more than ${maxBytes} bytes (see max_bytes)`);
}

/** In the thread pool, in pieces; stops at the first piece beyond the bound, so that a bomb costs no more than a page. */
function decompress(compressed: Buffer, maxBytes: number, words: HttpWords): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    gunzip(compressed, { maxOutputLength: maxBytes, chunkSize: GUNZIP_CHUNK_BYTES }, (error, bytes) => {
      if (error === null) resolve(bytes);
      else if (codeOf(error) === 'ERR_BUFFER_TOO_LARGE') reject(tooLarge(maxBytes, words));
      else reject(new HttpError('protocol', `the compressed ${words.thing} is damaged`));
    });
  });
}

function failureOf(error: unknown, words: HttpWords): HttpFailure {
  if (error instanceof HttpError) return { kind: error.kind, message: error.message };
  const code = codeOf(error);
  const failure = networkFailure(code === 'UND_ERR_CONNECT_TIMEOUT' ? 'ETIMEDOUT' : code, words);
  if (failure !== undefined) return failure;
  if (isBroken(error))
    return { kind: 'protocol', message: 'closed the connection before its answer was complete' };
  // No device causes these: a defect of kw, which should be seen as one.
  if (code === '' && (error instanceof TypeError || error instanceof ReferenceError)) throw error;
  const text = error instanceof Error ? error.message : String(error);
  return { kind: 'protocol', message: `answered something that is no HTTP: ${quote(text)}` };
}

function isBroken(error: unknown): boolean {
  const code = codeOf(error);
  return code === 'UND_ERR_SOCKET' || isReset(code);
}
