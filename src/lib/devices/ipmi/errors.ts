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
