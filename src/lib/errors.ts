/**
 * The errors that kw shows to people: what is wrong, and what to do about it.
 */

/** Exit codes of every command. `kw status --check` has its own, see there. */
export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;

export interface KwErrorOptions {
  /** What the user can do now: one sentence, no full stop needed. Shown below the message. */
  hint?: string | undefined;
  /** A stable word for scripts and tests, such as `NO_DATABASE`. */
  code?: string | undefined;
  /** Process exit code; never 0. */
  exit?: number | undefined;
  cause?: unknown;
}

/**
 * An expected failure. The message is one sentence for the user and never holds a secret, a stack or SQL.
 * Anything thrown that is not a KwError is a defect of kw and is shown as one.
 */
export class KwError extends Error {
  readonly hint: string | undefined;
  readonly code: string;
  readonly exit: number;

  constructor(message: string, options: KwErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KwError';
    this.hint = options.hint;
    this.code = options.code ?? 'KW_ERROR';
    this.exit = options.exit ?? EXIT_FAILURE;
  }
}

/** The words of a failed system call without what only a programmer wants: `ENOENT: no such file or directory, open 'x'`. */
export function systemWords({ message }: Error): string {
  return /^E[A-Z0-9]+: ([^,]+)/.exec(message)?.[1] ?? message;
}

/** The code of a failed system call or statement, such as `ENOENT` or an SQLSTATE; undefined for other errors. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
