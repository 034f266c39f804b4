/** How long a token may hold. */
import { EXIT_USAGE, KwError } from '../errors.ts';
import { parseDurationMs } from '../time.ts';

const MIN_MS = 1_000;
/** A token that holds for ever is one that nobody remembers. */
const MAX_MS = 10 * 365.25 * 86_400_000;

/** Milliseconds of a text such as `7d`. Throws KwError BAD_DURATION or BAD_TOKEN_LIFE. */
export function parseLifeMs(text: string): number {
  const ms = parseDurationMs(text);
  if (ms >= MIN_MS && ms <= MAX_MS) return ms;
  throw new KwError(`a token holds from one second to 10 years, not ${text}`, {
    code: 'BAD_TOKEN_LIFE',
    exit: EXIT_USAGE,
    hint: 'write --expires 7d; a token of a program is renewed with kw token create as well',
  });
}
