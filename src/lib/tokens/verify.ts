/**
 * Says whose token it is, or why it is none of ours. The key is found by the token's `kid`, and the key alone decides
 * about the algorithm: `none`, or a public key used as a secret, have no way in.
 */
import { type Claims, MAX_TOKEN_BYTES, parseClaims } from './claims.ts';
import type { Algorithm, TokenKey } from './keys.ts';

/** Checks signature, `exp` and `nbf`: that of @fastify/jwt (fast-jwt). Gives the payload, or throws. */
export type CheckSignature = (
  token: string,
  options: { readonly key: string | Buffer; readonly algorithms: Algorithm[] },
) => unknown;

/** Why a token is refused. Never a part of it. */
export type Refusal =
  | 'malformed'
  | 'unknown_key'
  | 'wrong_signature'
  | 'expired'
  | 'not_yet_valid'
  | 'wrong_claims'
  | 'other_site';

export interface VerifyOptions {
  readonly keys: readonly TokenKey[];
  readonly checkSignature: CheckSignature;
  /** Name of this site; undefined: tokens that name one are refused. */
  readonly site: string | undefined;
  readonly nowS: number;
}

/** Clocks of other machines that issue tokens may be ahead by so much. */
const MAX_AHEAD_S = 60;

const BASE64URL = /^[\w-]+$/;

/** The claims of a token that holds now, or why it does not. Revocation is not looked at: see revocations.ts. */
export function verifyToken(token: string, options: VerifyOptions): Claims | Refusal {
  const header = readHeader(token);
  if (header === undefined) return 'malformed';
  const key = options.keys.find(({ kid }) => kid === header.kid);
  if (key === undefined || header.alg !== key.algorithm) return 'unknown_key';
  let payload: unknown;
  try {
    payload = options.checkSignature(token, { key: material(key), algorithms: [key.algorithm] });
  } catch (error) {
    return refusalOf(error);
  }
  const claims = parseClaims(payload);
  if (claims === undefined || (key.kid !== undefined && claims.jti === undefined)) return 'wrong_claims';
  // RFC 7519, 4.1.4: on or after its expiry a token holds no more.
  if (claims.exp <= options.nowS) return 'expired';
  if (Math.max(claims.iat ?? 0, (claims.nbf ?? 0) + MAX_AHEAD_S) > options.nowS + MAX_AHEAD_S)
    return 'not_yet_valid';
  if (claims.site !== undefined && claims.site !== options.site) return 'other_site';
  return claims;
}

function readHeader(token: string): { kid: unknown; alg: unknown } | undefined {
  if (token.length > MAX_TOKEN_BYTES) return undefined;
  const parts = token.split('.');
  if (parts.length !== 3 || !parts.every((part) => BASE64URL.test(part))) return undefined;
  try {
    const header: unknown = JSON.parse(Buffer.from(parts[0] ?? '', 'base64url').toString());
    if (typeof header !== 'object' || header === null || Array.isArray(header)) return undefined;
    const { kid, alg, crit } = header as Record<string, unknown>;
    // RFC 7515, 4.1.11: we understand no extension.
    return crit === undefined ? { kid, alg } : undefined;
  } catch {
    return undefined;
  }
}

const materials = new WeakMap<TokenKey, string | Buffer>();

/** In the form that fast-jwt takes: PEM or the bytes of the secret. */
function material(key: TokenKey): string | Buffer {
  let known = materials.get(key);
  if (known === undefined) {
    known =
      key.verifying.type === 'secret'
        ? key.verifying.export()
        : key.verifying.export({ format: 'pem', type: 'spki' }).toString();
    materials.set(key, known);
  }
  return known;
}

function refusalOf(error: unknown): Refusal {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'FAST_JWT_EXPIRED') return 'expired';
  if (code === 'FAST_JWT_INACTIVE') return 'not_yet_valid';
  if (code === 'FAST_JWT_MALFORMED' || code === 'FAST_JWT_INVALID_PAYLOAD') return 'malformed';
  return 'wrong_signature';
}
