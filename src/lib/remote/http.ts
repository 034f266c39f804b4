/**
 * Requests to `kw serve`. Node's own HTTP client: undici takes 100 ms to load, node:https 5, and a prolog waits for it.
 *
 *   POST -> 200: the answer's body, as a stream
 *        -> anything else: a KwError with the server's own sentence
 *
 * A request is sent again, a few times within some seconds, where that can do no harm: when nothing of it reached a
 * server that had answered before, when the server asks for it (429, 503), and when a cut connection leaves open what
 * became of it, if it is repeatable. Redirects are never followed: the token is for one server.
 */

import { readFileSync } from 'node:fs';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import { KwError } from '../errors.ts';
import { packageRoot } from '../packageRoot.ts';
import {
  isUnsent,
  notKwServe,
  otherProtocol,
  refusal,
  tooSlow,
  Unanswered,
  unreachable,
} from './httpErrors.ts';
import { PROTOCOL, PROTOCOL_HEADER, type ProblemBody, readProblem, VERSION_HEADER } from './protocol.ts';
import type { KwServer } from './server.ts';

export interface RemoteRequest {
  /** Below the base URL, such as `kw/enable`. */
  readonly path: string;
  readonly body: Buffer | string;
  /** Of the body; JSON unless told. */
  readonly contentType?: string;
  readonly repeatable: boolean;
  /** How long the server may say nothing. */
  readonly silenceMs?: number | undefined;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** More than statements of the server may take. */
export const SILENCE_MS = 330_000;
/** Between attempts, unless the server names a time. */
const WAITS_MS = [200, 600, 1_500];
/** Longest wait that a server can ask for before its answer is told as a failure. */
const MAX_WAIT_MS = 5_000;
/** Of an answer that is an error. */
const MAX_PROBLEM_BYTES = 64 * 1024;

/** Keeps its connections for the requests that follow. */
export class RemoteConnection {
  readonly server: KwServer;
  readonly #agent: http.Agent;
  #reached = false;

  constructor(server: KwServer) {
    this.server = server;
    const { ca, lookup } = server;
    const options = { keepAlive: true, maxSockets: 4, ...(lookup === undefined ? {} : { lookup }) };
    this.#agent =
      server.base.protocol === 'https:'
        ? new https.Agent({ ...options, ...(ca === undefined ? {} : { ca }) })
        : new http.Agent(options);
  }

  /**
   * The body of the answer, if that is no error.
   * @throws KwError SERVER_AWAY, SERVER_TLS, SERVER_SILENT, NO_KW_SERVE, OTHER_VERSION, TOO_MANY_REQUESTS; the server's own
   */
  async send(request: RemoteRequest): Promise<IncomingMessage> {
    let open = false;
    for (let attempt = 0; ; attempt++) {
      const tried = await this.#attempt(request);
      if (!('failure' in tried)) return tried;
      open ||= tried.open;
      const failure = open ? unanswered(tried.failure) : tried.failure;
      const waitMs = tried.again ? (tried.waitMs ?? WAITS_MS[attempt]) : undefined;
      if (waitMs === undefined || attempt >= WAITS_MS.length || waitMs > MAX_WAIT_MS) throw failure;
      if (this.server.remainingMs !== undefined && waitMs >= this.server.remainingMs()) throw failure;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #attempt(request: RemoteRequest): Promise<IncomingMessage | Failure> {
    const { server } = this;
    let answer: IncomingMessage;
    try {
      answer = await this.#exchange(request);
    } catch (error) {
      if (error instanceof KwError) return { failure: error, again: false, open: true };
      const open = !isUnsent(error);
      const failure = unreachable(server, error);
      // A server that never answered is probably named wrongly: that is better heard at once.
      const again = open ? request.repeatable && failure.code !== 'SERVER_TLS' : this.#reached;
      return { failure, again, open };
    }
    this.#reached = true;
    const { statusCode = 0, headers } = answer;
    const version = headers[VERSION_HEADER];
    const protocol = headers[PROTOCOL_HEADER];
    if (statusCode === 200 && protocol === PROTOCOL) return answer;
    const problem = await readAnswerProblem(answer);
    if (typeof version !== 'string') {
      // A proxy before the server speaks for it while it is away or overloaded.
      const again = statusCode === 502 || statusCode === 503 || statusCode === 504;
      const failure =
        problem === undefined || again ? notKwServe(server, statusCode, headers.location) : undefined;
      if (failure !== undefined) return { failure, again: again && request.repeatable, open: again };
    } else if (protocol !== PROTOCOL || (statusCode === 404 && problem?.code === 'NO_SUCH_PATH')) {
      return { failure: otherProtocol(server, version, kwVersion()), again: false, open: false };
    }
    const retryAfterS = Number(headers['retry-after']);
    const waitMs = Number.isFinite(retryAfterS) && retryAfterS >= 0 ? retryAfterS * 1000 : undefined;
    return {
      failure: refusal(server, statusCode, problem, waitMs),
      again: statusCode === 429 || (statusCode === 503 && request.repeatable),
      open: statusCode >= 500,
      waitMs,
    };
  }

  #exchange(request: RemoteRequest): Promise<IncomingMessage> {
    const { server } = this;
    const { silenceMs = SILENCE_MS } = request;
    const body = typeof request.body === 'string' ? Buffer.from(request.body) : request.body;
    return new Promise((resolve, reject) => {
      const sent = (server.base.protocol === 'https:' ? https : http).request(
        new URL(request.path, server.base),
        {
          method: 'POST',
          agent: this.#agent,
          headers: {
            'content-type': request.contentType ?? 'application/json',
            'content-length': body.length,
            'user-agent': `kw/${kwVersion()}`,
            [VERSION_HEADER]: kwVersion(),
            [PROTOCOL_HEADER]: PROTOCOL,
            ...(server.authorization === undefined ? {} : { authorization: server.authorization }),
          },
        },
        resolve,
      );
      sent.on('error', reject);
      const late = setTimeout(
        () => sent.destroy(Object.assign(new Error('it does not answer'), { code: 'ECONNTIMEOUT' })),
        CONNECT_TIMEOUT_MS,
      );
      sent.on('close', () => clearTimeout(late));
      sent.on('socket', (socket) => {
        const ready = () => clearTimeout(late);
        if (!socket.connecting) ready();
        else socket.once(server.base.protocol === 'https:' ? 'secureConnect' : 'connect', ready);
      });
      sent.setTimeout(silenceMs, () => sent.destroy(tooSlow(server, silenceMs)));
      sent.end(body);
    });
  }
}

interface Failure {
  readonly failure: KwError;
  /** Sending the same request again may help, and can do no harm. */
  readonly again: boolean;
  /** The server may have done what was asked. */
  readonly open: boolean;
  readonly waitMs?: number | undefined;
}

function unanswered(failure: KwError): Unanswered {
  const { message, code, hint, exit, cause } = failure;
  return new Unanswered(message, { code, hint, exit, cause });
}

/** The body of an answer that is an error; undefined where it is none of kw serve, or cut. */
export async function readAnswerProblem(answer: IncomingMessage): Promise<ProblemBody | undefined> {
  return readProblem(parseJson(await readText(answer).catch(() => '')));
}

async function readText(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_PROBLEM_BYTES) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

let version: string | undefined;

function kwVersion(): string {
  version ??= (JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string })
    .version;
  return version;
}
