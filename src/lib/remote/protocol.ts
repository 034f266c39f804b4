/** What the command line and `kw serve` have agreed on. */

/** Raised with every change after which an older kw would misunderstand requests or answers under `/kw/`. */
export const PROTOCOL = '1';

/** In requests and answers alike: the number above, and the version of kw for people. */
export const PROTOCOL_HEADER = 'kw-protocol';
export const VERSION_HEADER = 'kw-version';

/** The body of an answer that is an error. */
export interface ProblemBody {
  readonly message: string;
  readonly code: string;
  readonly hint?: string | undefined;
  /** Exit code of the command, where it is not the usual one. */
  readonly exit?: number | undefined;
}

/** Undefined if it is none. */
export function readProblem(value: unknown): ProblemBody | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { message, code, hint, exit } = value as Record<string, unknown>;
  if (typeof message !== 'string' || typeof code !== 'string') return undefined;
  return {
    message,
    code,
    hint: typeof hint === 'string' ? hint : undefined,
    exit: typeof exit === 'number' && exit > 0 ? exit : undefined,
  };
}
