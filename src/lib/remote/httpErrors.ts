/** What goes wrong between kw and a `kw serve`, as sentences that say what to do. The token is in none of them. */
import { tlsFailure } from '../database/tlsErrors.ts';
import { codeOf, KwError } from '../errors.ts';
import type { ProblemBody } from './protocol.ts';
import type { KwServer } from './server.ts';

/** It is not known whether the server did what was asked. */
export class Unanswered extends KwError {}

/** Codes of a connection that never was. */
const UNSENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ECONNTIMEOUT',
]);

/** Whether nothing of the request can have reached the server. */
export function isUnsent(error: unknown): boolean {
  return UNSENT.has(codeOf(error) ?? '');
}

/** The connection failed before there was an answer. */
export function unreachable(server: KwServer, error: unknown): KwError {
  const code = codeOf(error);
  const said = wordsOf(error);
  if (code === 'EPROTO' || /wrong version number|packet length too long/.test(said)) {
    return new KwError(`no TLS connection to ${server.label}: the server does not speak TLS`, {
      code: 'SERVER_TLS',
      hint: `check the port in ${server.namedBy}, or write http:// if the way to it is safe`,
      cause: error,
    });
  }
  const tls = tlsFailure(code, said);
  if (tls !== undefined) {
    return new KwError(`no TLS connection to ${server.label}: ${tls.message}`, {
      code: 'SERVER_TLS',
      hint: tlsHint(code, server, tls.hint),
      cause: error,
    });
  }
  const unknownName = code === 'ENOTFOUND' || code === 'EAI_AGAIN';
  return new KwError(`the server ${server.label} cannot be reached: ${said}`, {
    code: 'SERVER_AWAY',
    hint: unknownName
      ? `check the name of the host in ${server.namedBy}`
      : `check that kw serve runs there and that ${server.namedBy} names it`,
    cause: error,
  });
}

/** An attempt at both addresses of a name fails with an empty message. */
function wordsOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors[0] instanceof Error) return error.errors[0].message;
  return error instanceof Error ? error.message : String(error);
}

/** Hints of databases name parameters of their URLs. */
function tlsHint(code: string | undefined, { namedBy }: KwServer, hint: string): string {
  if (/clock/.test(hint)) return hint;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `write the host in ${namedBy} as its certificate does`;
  return 'name the authority that signed it: KW_CA_FILE=FILE, or ca_file in kw.yaml';
}

export function tooSlow(server: KwServer, silenceMs: number): KwError {
  return new KwError(`the server ${server.label} has said nothing for ${silenceMs / 1000} s`, {
    code: 'SERVER_SILENT',
    hint: 'ask for less at once, or look whether it is overloaded',
  });
}

/** The answer had an end, but not that of a whole one. @param what was read so far */
export function cutAnswer(server: KwServer, what: string, cause?: unknown): KwError {
  return new Unanswered(`the answer of ${server.label} was cut off: ${what}`, {
    code: 'ANSWER_CUT',
    hint: 'ask again; if it is always cut, look at the log of kw serve and at the proxy before it',
    cause,
  });
}

/** Somebody else answered. */
export function notKwServe(server: KwServer, status: number, location: string | undefined): KwError {
  if (status >= 300 && status < 400 && location !== undefined) {
    const to = URL.canParse(location, server.base.href) ? new URL(location, server.base).origin : '';
    return new KwError(`${server.label} redirects to ${to}, and kw gives a token to one server only`, {
      code: 'REDIRECTED',
      hint: `write the address that it redirects to into ${server.namedBy}`,
    });
  }
  if (status === 502 || status === 503 || status === 504) {
    return new KwError(`kw serve behind ${server.label} does not answer (HTTP status ${status})`, {
      code: 'SERVER_AWAY',
      hint: 'try again in some seconds, or ask who runs it',
    });
  }
  if (status === 401 || status === 403) {
    return new KwError(`the proxy at ${server.label} refuses the request (HTTP status ${status})`, {
      code: 'FORBIDDEN',
      hint: `it may want a user and a password in ${server.namedBy}: https://USER:PASSWORD@HOST`,
    });
  }
  if (status === 413) {
    return new KwError(`the proxy at ${server.label} takes no request as large as this (HTTP status 413)`, {
      code: 'TOO_LARGE',
      hint: 'its limit must be at least 8 MB (nginx: client_max_body_size)',
    });
  }
  return new KwError(`there is no kw serve at ${server.label} (HTTP status ${status})`, {
    code: 'NO_KW_SERVE',
    hint: `check ${server.namedBy}; behind a proxy it ends with the path of kw serve, such as https://HOST/api`,
  });
}

export function otherProtocol(server: KwServer, theirs: string, ours: string): KwError {
  return new KwError(`${server.label} is kw ${theirs}, which does not understand kw ${ours}`, {
    code: 'OTHER_VERSION',
    hint: 'use the version of kw that the server has, or have the server updated',
  });
}

/** The server said no. */
export function refusal(
  server: KwServer,
  status: number,
  problem: ProblemBody | undefined,
  waitMs: number | undefined,
): KwError {
  if (problem === undefined) {
    return new KwError(`the server ${server.label} answers with HTTP status ${status}`, {
      code: 'SERVER_ERROR',
      hint: 'the reason is in the log of kw serve',
    });
  }
  const { message, code, hint, exit } = problem;
  const seconds = waitMs === undefined ? 'some' : String(Math.ceil(waitMs / 1000));
  switch (status) {
    case 401:
      return server.authorization === undefined
        ? new KwError(`the server ${server.label} wants to know who you are`, {
            code,
            hint: 'set KW_TOKEN; who runs the server makes tokens with kw token create',
          })
        : new KwError(`the server ${server.label} refuses the token: ${message}`, { code, hint });
    case 403:
      return new KwError(`not allowed on ${server.label}: ${message}`, { code, hint });
    case 429:
      return new KwError(`too many requests to ${server.label}: ${message}`, {
        code,
        hint: `try again in ${seconds} s`,
      });
    case 503:
      return new KwError(`the server ${server.label} cannot answer now: ${message}`, {
        code,
        hint: hint ?? `try again in ${seconds} s`,
      });
    case 500:
      return new KwError(`the server ${server.label} reports: ${message}`, { code, hint });
    default:
      return new KwError(message, { code, hint, exit });
  }
}
