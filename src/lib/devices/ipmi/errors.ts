/** What a BMC or the way to it can do wrong, as one sentence without a secret. */
import type { Problem, ProblemKind } from '../driver.ts';

export class IpmiError extends Error {
  readonly kind: ProblemKind;

  constructor(kind: ProblemKind, message: string) {
    super(message);
    this.name = 'IpmiError';
    this.kind = kind;
  }

  toProblem(): Problem {
    return { kind: this.kind, message: this.message };
  }
}

/** The network says that the BMC cannot be reached. */
export class UnreachableError extends IpmiError {}

/** We ended it ourselves. */
export class ClosedError extends IpmiError {
  constructor() {
    super('timeout', 'the session was closed');
  }
}

/** The BMC was silent. */
export function isSilence(error: unknown): boolean {
  return error instanceof IpmiError && error.kind === 'timeout' && !(error instanceof ClosedError);
}
