/** What Node's error codes of sockets and TLS mean, in words that fit behind the name of a device. */
import type { ProblemKind } from '../driver.ts';

export interface NetworkFailure {
  readonly kind: ProblemKind;
  readonly message: string;
}

const UNREACHABLE: Readonly<Record<string, string>> = {
  EHOSTUNREACH: 'cannot be reached',
  ENETUNREACH: 'cannot be reached: no route to its network',
  ENOTFOUND: 'cannot be found: no such host name',
  EAI_AGAIN: 'cannot be found: the name server does not answer',
};

/** Node's codes of certificates that are not trusted. */
const CERTIFICATE_CODE = /CERT|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH/;

export interface FailureWords {
  /** Behind `refused the connection`. */
  readonly refusedHint: string;
  /** Behind `does not speak TLS as kw does`. */
  readonly noTlsHint: string;
}

/** Undefined for what is no failure of the network. A connection that breaks is left to the caller, see isReset. */
export function networkFailure(code: string, words: FailureWords): NetworkFailure | undefined {
  if (code === 'ECONNREFUSED')
    return { kind: 'refused', message: `refused the connection: ${words.refusedHint}` };
  const unreachable = UNREACHABLE[code];
  if (unreachable !== undefined) return { kind: 'refused', message: unreachable };
  if (code === 'ETIMEDOUT') return { kind: 'timeout', message: 'did not accept the connection in time' };
  if (CERTIFICATE_CODE.test(code))
    return { kind: 'auth', message: `has a certificate that is not trusted (${code}): see ca= and insecure` };
  if (code === 'EPROTO' || code.startsWith('ERR_SSL'))
    return { kind: 'protocol', message: `does not speak TLS as kw does: ${words.noTlsHint}` };
  return undefined;
}

/** The other side closed the connection. */
export function isReset(code: string): boolean {
  return code === 'ECONNRESET' || code === 'EPIPE';
}

/** The code of an error, blank when it has none. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}
