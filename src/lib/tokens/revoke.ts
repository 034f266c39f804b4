/** Ends tokens, and says of each that was named what became of it. */
import type { Client } from 'pg';
import { EXIT_USAGE, KwError } from '../errors.ts';
import { revokeTokens, tokenStates } from './store.ts';

export interface Revoked {
  readonly revoked: { id: string; user: string }[];
  readonly notes: string[];
}

/** @throws KwError NO_SUCH_TOKEN when an id was never issued; the others are not revoked then either */
export async function revoke(
  client: Client,
  { ids, user }: { readonly ids: readonly string[]; readonly user: string | undefined },
): Promise<Revoked> {
  if (ids.length === 0 && user === undefined) {
    throw new KwError('name the tokens to revoke', {
      code: 'USAGE',
      exit: EXIT_USAGE,
      hint: 'their ids are in kw token list; --user NAME means all tokens of a user',
    });
  }
  const states = await tokenStates(client, ids);
  const unknown = ids.find((id) => !states.has(id));
  if (unknown !== undefined) {
    throw new KwError(`no token ${JSON.stringify(unknown.slice(0, 60))} was issued here`, {
      code: 'NO_SUCH_TOKEN',
      hint: 'kw token list --all shows the ids; of a token itself kw needs its id only, not its text',
    });
  }
  const revoked = await revokeTokens(client, { ids, user });
  const done = new Set(revoked.map(({ id }) => id));
  const notes = ids.flatMap((id) => {
    if (done.has(id)) return [];
    return [`${id} ${states.get(id) === 'revoked' ? 'was revoked before' : 'has ended by itself'}`];
  });
  if (ids.length === 0 && revoked.length === 0) notes.push(`no token of ${user} holds now`);
  return { revoked, notes };
}
