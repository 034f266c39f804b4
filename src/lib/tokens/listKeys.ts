/** The keys of tokens with what they are still used for, and the end of one. */
import type { Client } from 'pg';
import { KwError } from '../errors.ts';
import { listing } from '../output/listing.ts';
import { formatUtc } from '../time.ts';
import { changeKeys, readKeys } from './keyFile.ts';
import { keyUses } from './store.ts';

export interface ListedKey {
  readonly key: string;
  readonly algorithm: string;
  /** Undefined when the file does not say. */
  readonly createdUs: number | undefined;
  readonly signs: boolean;
  /** Tokens that it signed and that hold. */
  readonly tokens: number;
}

/** @throws KwError KEYS_* */
export async function listKeys(client: Client, keysFile: string): Promise<ListedKey[]> {
  const keys = readKeys(keysFile);
  const uses = await keyUses(client);
  return keys.map(({ kid = '', algorithm, createdAt }, index) => ({
    key: kid,
    algorithm,
    createdUs: createdAt === '' ? undefined : Date.parse(createdAt) * 1000,
    signs: index === keys.length - 1,
    tokens: uses.get(kid) ?? 0,
  }));
}

export function keyTable(keys: readonly ListedKey[]): string {
  return listing(
    ['KEY', 'ALGORITHM', 'MADE', 'TOKENS', 'USE'],
    keys.map(({ key, algorithm, createdUs, signs, tokens }) => [
      key,
      algorithm,
      createdUs === undefined ? '-' : formatUtc(createdUs).slice(0, 10),
      String(tokens),
      signs ? 'signs and verifies' : 'verifies',
    ]),
  );
}

/** @throws KwError NO_SUCH_KEY, KEY_IN_USE, KEYS_* */
export async function removeKey(
  client: Client,
  keysFile: string,
  kid: string,
  force: boolean,
): Promise<void> {
  const tokens = (await keyUses(client)).get(kid) ?? 0;
  await changeKeys(keysFile, (keys) => {
    if (!keys.some((key) => key.kid === kid)) {
      throw new KwError(`there is no key ${JSON.stringify(kid.slice(0, 60))} in ${keysFile}`, {
        code: 'NO_SUCH_KEY',
        hint: 'kw token key list shows them',
      });
    }
    if (keys.at(-1)?.kid === kid && !force) {
      throw new KwError(`${kid} signs new tokens`, {
        code: 'KEY_IN_USE',
        hint: 'make another one first with kw token key rotate, or use --force: kw token create then makes one',
      });
    }
    if (tokens > 0 && !force) {
      throw new KwError(`${tokens} token${tokens === 1 ? '' : 's'} of the key ${kid} would end`, {
        code: 'KEY_IN_USE',
        hint: 'kw token list shows them; --force removes it all the same',
      });
    }
    return keys.filter((key) => key.kid !== kid);
  });
}
