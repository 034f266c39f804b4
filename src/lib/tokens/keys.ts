/**
 * Keys that sign and verify tokens. Each key has one algorithm and an id (`kid`), and every token names the key that signed
 * it: so a token's own word about its algorithm decides nothing, and keys can be exchanged one by one.
 *
 * In memory and in the key file a key is a JSON Web Key (RFC 7517), so that PostgREST can be given the same file's keys.
 */
import {
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { KwError } from '../errors.ts';

export const ALGORITHMS = ['HS256', 'RS256', 'ES256'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

export interface TokenKey {
  /** Names the key in tokens; undefined for a secret that another issuer has too, whose tokens name none. */
  readonly kid: string | undefined;
  readonly algorithm: Algorithm;
  /** UTC, ISO 8601. */
  readonly createdAt: string;
  /** The secret (HS256) or the private key. */
  readonly signing: KeyObject;
  /** The secret (HS256) or the public key. */
  readonly verifying: KeyObject;
}

/** RFC 7518, 3.2: an HS256 key has at least the size of the hash. */
const MIN_SECRET_BYTES = 32;
/** RFC 7518, 3.3. */
const MIN_RSA_BITS = 2048;
const NEW_RSA_BITS = 3072;

/** A new key with a random id. */
export function generateKey(algorithm: Algorithm, now = new Date()): TokenKey {
  const kid = randomBytes(6).toString('hex');
  const createdAt = now.toISOString();
  if (algorithm === 'HS256') {
    const secret = createSecretKey(randomBytes(MIN_SECRET_BYTES));
    return { kid, algorithm, createdAt, signing: secret, verifying: secret };
  }
  const { privateKey, publicKey } =
    algorithm === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: NEW_RSA_BITS })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { kid, algorithm, createdAt, signing: privateKey, verifying: publicKey };
}

/** Words that stand in examples and templates: whoever reads the documentation has the key. */
const DEFAULT_WORDS =
  /change.?me|secret|password|passw0rd|kwollect|default|example|insert|your|letmein|admin|test/gi;

/**
 * Why a text must not be an HS256 secret, or undefined when it may. The sentence never holds the text.
 */
export function secretProblem(secret: string): string | undefined {
  if (secret.trim() === '') return 'it is empty';
  if (/-----BEGIN/.test(secret) || /^\s*[[{]/.test(secret)) return 'it is a key file, not a secret';
  const bytes = Buffer.byteLength(secret);
  if (bytes < MIN_SECRET_BYTES) return `it has ${bytes} bytes, and at least ${MIN_SECRET_BYTES} are needed`;
  if (new Set(secret).size < 8 || /^(.{1,16}?)\1+$/s.test(secret)) return 'it repeats itself';
  const rest = secret.replace(DEFAULT_WORDS, '').replace(/[\W_]/g, '');
  if (rest.length < secret.length / 2) return 'it is made of the words of examples';
  return undefined;
}

/** A secret that another issuer of tokens has too, such as that of a Kwollect. */
export function sharedSecret(secret: string): TokenKey {
  const problem = secretProblem(secret);
  if (problem !== undefined) {
    throw new KwError(`server.jwt_secret is no secret: ${problem}`, {
      code: 'WEAK_SECRET',
      hint: 'remove it (kw token create makes a key of its own), or take one of 32 random bytes: openssl rand -hex 32',
    });
  }
  const key = createSecretKey(Buffer.from(secret));
  return { kid: undefined, algorithm: 'HS256', createdAt: '', signing: key, verifying: key };
}

/** A key as JSON Web Key with everything in it: for the key file. */
export function privateJwk(key: TokenKey): JsonWebKey & Record<string, unknown> {
  return { ...key.signing.export({ format: 'jwk' }), ...members(key) };
}

/** What verifies tokens: for PostgREST. Of HS256 that is the secret itself. */
export function verifyingJwk(key: TokenKey): JsonWebKey & Record<string, unknown> {
  return { ...key.verifying.export({ format: 'jwk' }), ...members(key) };
}

function members({ kid, algorithm, createdAt }: TokenKey): Record<string, unknown> {
  return { kid, alg: algorithm, use: 'sig', created_at: createdAt };
}

/** @returns why it is no key of ours, instead of a key. Never a part of the key. */
export function parseJwk(jwk: unknown): TokenKey | string {
  if (typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) return 'it is no object';
  const { kid, alg, created_at: createdAt } = jwk as Record<string, unknown>;
  if (typeof kid !== 'string' || !/^[\w.-]{1,64}$/.test(kid)) return 'its kid is missing or no word';
  const algorithm = ALGORITHMS.find((known) => known === alg);
  if (algorithm === undefined) return `its alg is none of ${ALGORITHMS.join(', ')}`;
  const named = {
    kid,
    algorithm,
    createdAt: typeof createdAt === 'string' && !Number.isNaN(Date.parse(createdAt)) ? createdAt : '',
  };
  if (algorithm === 'HS256') {
    const { kty, k } = jwk as Record<string, unknown>;
    if (kty !== 'oct' || typeof k !== 'string' || !/^[\w-]*$/.test(k)) return 'it is no secret (kty oct)';
    const secret = Buffer.from(k, 'base64url');
    if (secret.length < MIN_SECRET_BYTES) {
      return `its secret has ${secret.length} bytes, and at least ${MIN_SECRET_BYTES} are needed`;
    }
    if (new Set(secret).size < 8) return 'its secret repeats itself';
    const key = createSecretKey(secret);
    return { ...named, signing: key, verifying: key };
  }
  return parsePrivate(jwk, named, algorithm);
}

function parsePrivate(
  jwk: object,
  named: Pick<TokenKey, 'kid' | 'createdAt'>,
  algorithm: 'RS256' | 'ES256',
): TokenKey | string {
  let signing: KeyObject;
  try {
    signing = createPrivateKey({ key: jwk as JsonWebKey, format: 'jwk' });
  } catch {
    return 'it is no private key';
  }
  const { modulusLength = 0, namedCurve } = signing.asymmetricKeyDetails ?? {};
  if (algorithm === 'RS256' && signing.asymmetricKeyType !== 'rsa') return 'it is no RSA key';
  if (algorithm === 'RS256' && modulusLength < MIN_RSA_BITS) {
    return `it has ${modulusLength} bits, and at least ${MIN_RSA_BITS} are needed`;
  }
  if (algorithm === 'ES256' && namedCurve !== 'prime256v1') return 'it is no key of the curve P-256';
  return { ...named, algorithm, signing, verifying: createPublicKey(signing) };
}
