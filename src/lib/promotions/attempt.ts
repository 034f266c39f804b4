/** One of several things that a command asks for, which the database may refuse without harm to the others. */
import type { Client } from 'pg';
import { codeOf, KwError } from '../errors.ts';

/**
 * Runs statements whose failure undoes nothing but themselves: in a transaction (as in `kw serve`) up to a savepoint,
 * outside of one (as on the database itself) each statement for itself.
 *
 * @throws KwError REFUSED for what the server refused, in the same words both ways; what `work` throws else
 */
export async function attempt<T>(client: Client, work: () => Promise<T>): Promise<T> {
  const inTransaction = client.getTransactionStatus() === 'T';
  if (inTransaction) await client.query('SAVEPOINT attempt');
  try {
    const result = await work();
    if (inTransaction) await client.query('RELEASE SAVEPOINT attempt');
    return result;
  } catch (error) {
    if (inTransaction) await client.query('ROLLBACK TO SAVEPOINT attempt');
    throw isRefusal(error) ? refusal(error) : error;
  }
}

/** An error of a statement, as opposed to one that ends the connection. */
function isRefusal(error: unknown): error is Error & { hint?: string | undefined } {
  return error instanceof Error && 'severity' in error && error.severity === 'ERROR';
}

/** Raised by the functions of kw, whose sentences are for users: see server/problem.ts. */
const OWN_WORDS = /^(P0001|P0002|02000|53400|22...)$/;

function refusal(error: Error & { hint?: string | undefined }): KwError {
  const code = codeOf(error) ?? '';
  const rights = code === '42501';
  if (OWN_WORDS.test(code) || (rights && !/^permission denied/.test(error.message)))
    return new KwError(error.message, { code: 'REFUSED', hint: error.hint, cause: error });
  if (rights)
    return new KwError('you are not allowed to', {
      code: 'REFUSED',
      hint: 'ask an administrator for the role that this needs',
      cause: error,
    });
  if (code === '57014') return new KwError('it took too long', { code: 'REFUSED', cause: error });
  return new KwError(`the database failed (${code})`, { code: 'REFUSED', cause: error });
}
