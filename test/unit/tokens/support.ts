/** Tokens as an attacker may write them, and the server's way to look at them. */
import { createHmac, type KeyObject, sign } from 'node:crypto';
import Fastify from 'fastify';
import { registerJwt } from '../../../src/lib/server/auth/jwt.ts';
import type { Claims } from '../../../src/lib/tokens/claims.ts';
import type { TokenKey } from '../../../src/lib/tokens/keys.ts';
import { type CheckSignature, type Refusal, verifyToken } from '../../../src/lib/tokens/verify.ts';

export const NOW_S = Math.floor(Date.now() / 1000);

export const CLAIMS = {
  sub: 'alice',
  role: 'kw_writer',
  devices: ['node-1'],
  metrics: ['alice_*'],
  site: 'lyon',
  jti: '00000000-0000-4000-8000-000000000001',
  iat: NOW_S,
  exp: NOW_S + 3600,
} as const satisfies Record<string, unknown>;

/** Signs with anything, whatever the header says. */
export function forge(
  header: Readonly<Record<string, unknown>>,
  payload: unknown,
  signing: { hmac: KeyObject | Buffer | string } | { rsa: KeyObject } | { ec: KeyObject } | { none: true },
): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${part(header)}.${part(payload)}`;
  return `${input}.${signatureOf(input, signing)}`;
}

function signatureOf(input: string, signing: Parameters<typeof forge>[2]): string {
  if ('hmac' in signing) return createHmac('sha256', signing.hmac).update(input).digest('base64url');
  if ('rsa' in signing) return sign('sha256', Buffer.from(input), signing.rsa).toString('base64url');
  if ('ec' in signing) {
    return sign('sha256', Buffer.from(input), { key: signing.ec, dsaEncoding: 'ieee-p1363' }).toString(
      'base64url',
    );
  }
  return '';
}

/** As kw serve checks signatures. */
export async function signatureChecker(): Promise<{ check: CheckSignature; close(): Promise<void> }> {
  const app = Fastify();
  const check = registerJwt(app);
  await app.ready();
  return { check, close: () => app.close() };
}

export function verifier(
  checkSignature: CheckSignature,
  keys: readonly TokenKey[],
  { site = 'lyon', nowS = NOW_S }: { site?: string; nowS?: number } = {},
): (token: string) => Claims | Refusal {
  return (token) => verifyToken(token, { keys, checkSignature, site, nowS });
}
