import type { Refusal } from '../push/pushRow.ts';
import type { PushAnswer } from '../remote/remoteStore.ts';

/** What was refused of the rows of a request, whose lines are their places in it, from 1. */
export function refusalsOf(refusals: readonly Refusal[]): PushAnswer['refusals'] {
  return refusals.map(({ line, reason }) => [line - 1, reason] as const);
}
