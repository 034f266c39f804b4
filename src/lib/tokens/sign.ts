/** Makes a token: a JSON Web Signature in compact form (RFC 7515, 3.1; RFC 7519). Verified in verify.ts by fast-jwt. */
import { createHmac, sign } from 'node:crypto';
import { KwError } from '../errors.ts';
import { type Claims, MAX_TOKEN_BYTES } from './claims.ts';
import type { TokenKey } from './keys.ts';

/** @throws KwError TOKEN_TOO_LONG */
export function signToken(claims: Claims, key: TokenKey): string {
  const header = { alg: key.algorithm, typ: 'JWT', kid: key.kid };
  const input = `${encode(header)}.${encode(claims)}`;
  const token = `${input}.${signature(input, key)}`;
  if (token.length > MAX_TOKEN_BYTES) {
    throw new KwError(
      `the token would have ${token.length} bytes, and at most ${MAX_TOKEN_BYTES} fit into a header`,
      {
        code: 'TOKEN_TOO_LONG',
        hint: "name devices and metrics by their beginnings, such as 'rack1-*'",
      },
    );
  }
  return token;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function signature(input: string, { algorithm, signing }: TokenKey): string {
  if (algorithm === 'HS256') return createHmac('sha256', signing).update(input).digest('base64url');
  // RFC 7518, 3.4: r and s one behind the other, not DER.
  const options = algorithm === 'ES256' ? { key: signing, dsaEncoding: 'ieee-p1363' as const } : signing;
  return sign('sha256', Buffer.from(input), options).toString('base64url');
}
