/** Why a resource could not be read. */
import type { ProblemKind } from '../driver.ts';

export class RedfishError extends Error {
  readonly kind: ProblemKind;
  /** `device`: the rest of the BMC need not be asked in this poll. */
  readonly scope: 'device' | 'resource';
  /** A resource that is gone: links to it have to be found again. */
  readonly gone: boolean;

  constructor(kind: ProblemKind, message: string, scope: 'device' | 'resource', gone = false) {
    super(message);
    this.name = 'RedfishError';
    this.kind = kind;
    this.scope = scope;
    this.gone = gone;
  }
}
