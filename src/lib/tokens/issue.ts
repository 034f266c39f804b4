/** Makes a token for a user and remembers that it was issued. */
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { EXIT_USAGE, KwError } from '../errors.ts';
import { type Claims, parseClaims, type ShortRole, TOKEN_ROLES } from './claims.ts';
import { changeKeys, readKeys } from './keyFile.ts';
import { type Algorithm, generateKey, type TokenKey } from './keys.ts';
import { signToken } from './sign.ts';
import { recordToken, siteName } from './store.ts';

const DEFAULT_ALGORITHM: Algorithm = 'HS256';

export interface TokenWish {
  readonly user: string;
  readonly role: ShortRole;
  /** Names separated by commas; `*` or `.*` may end one. Undefined: no bound by the token. */
  readonly devices: string | undefined;
  readonly metrics: string | undefined;
  readonly lifeMs: number;
  readonly note: string;
}

export interface Issued {
  readonly token: string;
  readonly id: string;
  readonly user: string;
  readonly role: string;
  readonly expiresUs: number;
  readonly key: string;
  /** Whether there was no key yet, and one was made. */
  readonly newKey: boolean;
}

/** @throws KwError BAD_TOKEN_CLAIM, TOKEN_TOO_LONG, KEYS_* */
export async function issueToken(client: Client, keysFile: string, wish: TokenWish): Promise<Issued> {
  const iat = Math.floor(Date.now() / 1000);
  const claims = check({
    sub: wish.user,
    role: TOKEN_ROLES[wish.role],
    devices: nameList('--devices', wish.devices),
    metrics: nameList('--metrics', wish.metrics),
    site: await siteName(client),
    jti: randomUUID(),
    iat,
    exp: iat + Math.ceil(wish.lifeMs / 1000),
  });
  const { key, isNew } = await signingKey(keysFile);
  const kid = key.kid ?? '';
  const token = signToken(claims, key);
  await recordToken(client, { claims, kid, note: wish.note });
  const { jti: id, sub: user, role, exp } = claims;
  return { token, id, user, role, expiresUs: exp * 1e6, key: kid, newKey: isNew };
}

type NewClaims = Claims & { readonly jti: string; readonly iat: number };

function check(wanted: NewClaims): NewClaims {
  if (parseClaims(wanted) !== undefined) return wanted;
  throw new KwError('the user and every name must be text of 1 to 255 bytes without control characters', {
    code: 'BAD_TOKEN_CLAIM',
    exit: EXIT_USAGE,
    hint: 'and there may be at most 1000 devices and 1000 metrics',
  });
}

/** Names as the database compares them: whole, or their beginnings. Regular expressions have no place in rights. */
function nameList(flag: string, text: string | undefined): string[] | undefined {
  if (text === undefined) return undefined;
  const names = text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0) {
    throw new KwError(`${flag} names nothing`, {
      code: 'BAD_TOKEN_CLAIM',
      exit: EXIT_USAGE,
      hint: `leave ${flag} out, or write names separated by commas`,
    });
  }
  const wrong = names.find((name) => /[*+?()[\]{}|^$\\]/.test(name.replace(/\.?\*$/, '')));
  if (wrong === undefined) return names;
  throw new KwError(`${flag}: ${JSON.stringify(wrong)} is neither a name nor the beginning of one`, {
    code: 'BAD_TOKEN_CLAIM',
    exit: EXIT_USAGE,
    hint: `write whole names, or beginnings with a star, such as 'alice_*'`,
  });
}

/** The newest key; the first one is made here, once, however many ask for it at the same time. */
async function signingKey(keysFile: string): Promise<{ key: TokenKey; isNew: boolean }> {
  const known = readKeys(keysFile).at(-1);
  if (known !== undefined) return { key: known, isNew: false };
  const made = generateKey(DEFAULT_ALGORITHM);
  const keys = await changeKeys(keysFile, (found) => (found.length === 0 ? [made] : found));
  const key = keys.at(-1) ?? made;
  return { key, isNew: key.kid === made.kid };
}
