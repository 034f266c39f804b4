/**
 * What goes wrong in a request, as an HTTP status and `{message, code, hint}`. This is the one place that knows which
 * error has which status. A message says what to change; stacks, SQL and addresses of the database stay in the log.
 */
import pg from 'pg';
import { isAway } from '../database/errors.ts';
import { KwError } from '../errors.ts';

export interface ProblemOptions {
  readonly hint?: string | undefined;
  /** Seconds after which the same request may succeed: the header Retry-After. */
  readonly retryAfterS?: number | undefined;
  /** Further members of the JSON object, such as the rows that were refused. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
}

/** An answer that is an error. The message is one sentence for the caller. */
export class HttpProblem extends Error {
  readonly status: number;
  readonly code: string;
  readonly hint: string | undefined;
  readonly retryAfterS: number | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(status: number, code: string, message: string, options: ProblemOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'HttpProblem';
    this.status = status;
    this.code = code;
    this.hint = options.hint;
    this.retryAfterS = options.retryAfterS;
    this.details = options.details;
  }
}

/** The body of the answer. */
export function problemBody({ message, code, hint, details }: HttpProblem): Record<string, unknown> {
  return { message, code, hint: hint ?? null, ...details };
}

/** The client went away: nobody reads the answer. */
export const CLIENT_GONE = new HttpProblem(499, 'CLIENT_GONE', 'the client went away');

/** Codes of KwErrors that are not the caller's mistake (400). */
const KW_STATUS: Readonly<Record<string, number>> = {
  NO_SUCH_JOB: 404,
  AMBIGUOUS_JOB: 409,
  DATABASE_AWAY: 503,
  DATABASE_TIMEOUT: 422,
};

const AWAY_RETRY_S = 5;

/** Any error as a problem. `isKnown`: the caller said who they are; else a refusal asks them to. */
export function toProblem(error: unknown, isKnown: boolean): HttpProblem {
  if (error instanceof HttpProblem) return error;
  if (isAway(error) && !isFileError(error)) {
    return new HttpProblem(503, 'DATABASE_AWAY', 'the database is away', {
      hint: 'try again in some seconds',
      retryAfterS: AWAY_RETRY_S,
      cause: error,
    });
  }
  if (error instanceof KwError) {
    if (/^(DATABASE|SCHEMA)_/.test(error.code) && KW_STATUS[error.code] === undefined) return defect(error);
    const { code, message, hint } = error;
    return new HttpProblem(KW_STATUS[code] ?? 400, code, message, { hint, cause: error });
  }
  if (error instanceof pg.DatabaseError) return databaseProblem(error, isKnown);
  return requestProblem(error) ?? defect(error);
}

/** Missing files have the code of a missing socket, and are defects. */
function isFileError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === 'open';
}

/** SQLSTATE of a statement that was sent for a caller. */
function databaseProblem(error: pg.DatabaseError, isKnown: boolean): HttpProblem {
  const { code = '', message, hint } = error;
  if (code === '42501') return isKnown ? forbidden(error) : unauthorized(error);
  if (code === '57014') {
    // Not 504: python-grid5000 would send the same request five times more.
    return new HttpProblem(422, 'TIMEOUT', 'the request took too long and was ended: too much data', {
      hint: 'ask for less time, fewer devices or metrics, or for summary=true',
      cause: error,
    });
  }
  if (code === '53200') {
    return new HttpProblem(503, 'DATABASE_FULL', 'the database has no room for this request now', {
      hint: 'ask for less time at once',
      retryAfterS: AWAY_RETRY_S,
      cause: error,
    });
  }
  // As PostgREST reads them: the status stands in the code. The functions of `api` say 404 of jobs and of nothing else.
  if (code === 'PT404') return new HttpProblem(404, 'NO_SUCH_JOB', message, { hint, cause: error });
  // Raised by the functions of kw, whose sentences are for callers: raise_exception, a limit that a user reached.
  if (code === 'P0001' || code === '53400') {
    return new HttpProblem(400, 'REFUSED', message, { hint, cause: error });
  }
  // Data exceptions: a value that is none of its type.
  if (code.startsWith('22')) return new HttpProblem(400, 'BAD_VALUE', message, { hint, cause: error });
  if (code === '02000' || code === 'P0002')
    return new HttpProblem(404, 'NOT_FOUND', message, { hint, cause: error });
  return defect(error);
}

function unauthorized(cause?: unknown): HttpProblem {
  return new HttpProblem(401, 'NOT_AUTHENTICATED', 'this needs a token, and the request has none', {
    hint: 'send the header "Authorization: Bearer TOKEN"; an administrator makes tokens with kw token create',
    cause,
  });
}

function forbidden(error: pg.DatabaseError): HttpProblem {
  // What functions of kw say is for the caller; what PostgreSQL says names its own objects.
  const own = error.hint !== undefined || !/^permission denied/.test(error.message);
  return new HttpProblem(403, 'FORBIDDEN', own ? error.message : 'your token does not allow this', {
    hint: error.hint ?? 'ask an administrator for a token with the role that this needs',
    cause: error,
  });
}

/** Errors of the HTTP layer about a request: too large, no JSON, and the like. They carry their status. */
function requestProblem(error: unknown): HttpProblem | undefined {
  if (!(error instanceof Error) || !('statusCode' in error)) return undefined;
  const { statusCode, message } = error as Error & { statusCode: number };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'BAD_REQUEST';
  if (statusCode < 400 || statusCode >= 500) return undefined;
  const word = code.replace(/^FST_(ERR_)?/, '');
  const [own = message, hint] = BODY_PROBLEMS[word] ?? [];
  return new HttpProblem(statusCode, word, own, { hint, cause: error });
}

/** Sentences in the place of the HTTP layer's own: what curl sends first, without a header or with a torn body. */
const BODY_PROBLEMS: Readonly<Record<string, readonly [message: string, hint: string]>> = {
  CTP_INVALID_MEDIA_TYPE: [
    'the request does not say that its body is JSON',
    'send the header "Content-Type: application/json"; curl: -H \'Content-Type: application/json\'',
  ],
  CTP_INVALID_JSON_BODY: ['the body is no JSON', 'look for a missing quote or bracket'],
  CTP_EMPTY_JSON_BODY: [
    'the body is empty, and the header says that it is JSON',
    'send {} where there is nothing to say',
  ],
};

function defect(cause: unknown): HttpProblem {
  return new HttpProblem(500, 'INTERNAL', 'the server failed to answer', {
    hint: 'the reason is in the log of kw serve',
    cause,
  });
}
