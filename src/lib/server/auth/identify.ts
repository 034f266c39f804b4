/**
 * Who sends a request.
 *
 *   Authorization: Bearer TOKEN              -> who the token says, or 401
 *   the user header, from the proxy's address -> that user, with the role that the site gives
 *   neither                                  -> nobody: kw_anon, who may do what the database lets it
 *
 * What is wrong is refused, and never taken for nothing: a client with an expired token must hear of it.
 */
import type { BlockList } from 'node:net';
import { isIPv6 } from 'node:net';
import type { FastifyRequest } from 'fastify';
import type { ServerAccess } from '../../config/settingsModel.ts';
import type { Claims } from '../../tokens/claims.ts';
import type { CheckSignature, Refusal } from '../../tokens/verify.ts';
import { verifyToken } from '../../tokens/verify.ts';
import { ANONYMOUS, type Caller } from '../caller.ts';
import { HttpProblem } from '../problem.ts';
import type { KeyRing } from './keyRing.ts';
import type { RevocationList } from './revocations.ts';

export interface IdentifyOptions {
  readonly keyRing: KeyRing;
  readonly revocations: RevocationList;
  readonly checkSignature: CheckSignature;
  readonly proxy: ServerAccess['proxy'];
  /** The addresses of the proxy. */
  readonly proxyAddresses: BlockList;
}

/** Parameters in which other programs take tokens. */
const TOKEN_PARAMETER = /^(?:access_token|token|jwt|bearer|authorization|api_key)$/i;

/** @throws HttpProblem 400, 401; what the database throws */
export async function identify(request: FastifyRequest, options: IdentifyOptions): Promise<Caller> {
  if (Object.keys(request.query as object).some((name) => TOKEN_PARAMETER.test(name))) {
    throw new HttpProblem(
      400,
      'TOKEN_IN_URL',
      'a token does not belong into a URL, which others write into their logs',
      {
        hint: 'revoke that token, and send another one in the header "Authorization: Bearer TOKEN"',
      },
    );
  }
  const { authorization } = request.headers;
  const [scheme = '', credentials = '', more] = authorization?.trim().split(/ +/) ?? [];
  if (/^bearer$/i.test(scheme)) {
    if (more !== undefined) throw refused('malformed');
    return await fromToken(credentials, options);
  }
  const proxied = fromProxy(request, options);
  if (proxied !== undefined) return proxied;
  if (authorization !== undefined && !isFromProxy(request, options)) {
    throw new HttpProblem(401, 'NO_PASSWORDS_HERE', 'this server checks no passwords, only tokens', {
      hint: 'send the header "Authorization: Bearer TOKEN"; an administrator makes tokens with kw token create',
    });
  }
  return ANONYMOUS;
}

async function fromToken(token: string, options: IdentifyOptions): Promise<Caller> {
  const { revoked, site } = await options.revocations.current();
  const { checkSignature, keyRing } = options;
  const nowS = Math.floor(Date.now() / 1000);
  const verify = () => verifyToken(token, { keys: keyRing.keys, checkSignature, site, nowS });
  let claims = verify();
  if (claims === 'unknown_key' && keyRing.lookAgain()) claims = verify();
  if (typeof claims === 'string') throw refused(claims);
  if (claims.jti !== undefined && revoked.has(claims.jti)) throw refused('revoked');
  return callerOf(claims);
}

function callerOf(claims: Claims): Caller {
  return { user: claims.sub, role: claims.role, claims };
}

const NEW_TOKEN = 'an administrator makes another one with kw token create';

const REFUSALS: Readonly<Record<Refusal | 'revoked', readonly [message: string, hint: string]>> = {
  malformed: [
    'this is no token',
    'write it whole, as kw token create printed it: into KW_TOKEN, or the header "Authorization: Bearer TOKEN"',
  ],
  unknown_key: [
    'this token is none of this server',
    'is it for another server? Its key may also have been removed',
  ],
  wrong_signature: ['this token is none of this server', 'is it whole, and for this server?'],
  expired: ['the token has expired', NEW_TOKEN],
  not_yet_valid: ['the token does not hold yet', 'is a clock wrong?'],
  wrong_claims: [
    'the token does not say what this server needs to know',
    'it needs sub, role, exp and jti: see docs/tokens.md',
  ],
  other_site: ['the token is for another site', 'ask an administrator of this site for one'],
  revoked: ['the token was revoked', NEW_TOKEN],
};

function refused(why: Refusal | 'revoked'): HttpProblem {
  const [message, hint] = REFUSALS[why];
  return new HttpProblem(401, `TOKEN_${why.toUpperCase()}`, message, { hint });
}

/** The user that the proxy names. Only the peer's own address counts: X-Forwarded-For is what anybody may write. */
function fromProxy(request: FastifyRequest, options: IdentifyOptions): Caller | undefined {
  const { proxy } = options;
  const user = proxy === undefined ? undefined : request.headers[proxy.userHeader];
  if (proxy === undefined || user === undefined || user === '') return undefined;
  if (!isFromProxy(request, options)) return undefined;
  refuseOtherSites(request);
  // Two headers of this name come as one, with a comma.
  if (typeof user !== 'string' || !/^[\w.@+-]{1,255}$/.test(user)) {
    throw new HttpProblem(401, 'BAD_USER_HEADER', 'the proxy names no user that kw knows how to write', {
      hint: 'letters, digits and . _ @ + - are allowed, at most 255',
    });
  }
  return { user, role: proxy.role, claims: { sub: user, role: proxy.role } };
}

/**
 * A browser sends the password that a proxy asks for with every request, also with those that a page of somebody else
 * makes. Browsers say so (Fetch Metadata); a token is never sent by itself.
 */
function refuseOtherSites({ method, headers }: FastifyRequest): void {
  const site = headers['sec-fetch-site'];
  if (method === 'GET' || method === 'HEAD' || site === undefined) return;
  if (site === 'same-origin' || site === 'none') return;
  throw new HttpProblem(403, 'OTHER_PAGE', 'a page of another site may change nothing here', {
    hint: 'send a token instead: docs/tokens.md',
  });
}

function isFromProxy({ raw }: FastifyRequest, { proxy, proxyAddresses }: IdentifyOptions): boolean {
  const peer = raw.socket.remoteAddress;
  if (proxy === undefined || peer === undefined) return false;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(peer)?.[1];
  if (mapped !== undefined) return proxyAddresses.check(mapped, 'ipv4');
  return proxyAddresses.check(peer.replace(/%.*$/, ''), isIPv6(peer) ? 'ipv6' : 'ipv4');
}
