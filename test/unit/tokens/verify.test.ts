/** Which tokens kw serve believes, and above all which it does not. */
import { createSecretKey, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Claims } from '../../../src/lib/tokens/claims.ts';
import { ALGORITHMS, generateKey, sharedSecret, type TokenKey } from '../../../src/lib/tokens/keys.ts';
import { signToken } from '../../../src/lib/tokens/sign.ts';
import type { CheckSignature } from '../../../src/lib/tokens/verify.ts';
import { CLAIMS, forge, NOW_S, signatureChecker, verifier } from './support.ts';

const keys = { HS256: generateKey('HS256'), RS256: generateKey('RS256'), ES256: generateKey('ES256') };
const all = Object.values(keys);
const claims = CLAIMS as unknown as Claims;

let check: CheckSignature;
let close: () => Promise<void>;
beforeAll(async () => {
  ({ check, close } = await signatureChecker());
});
afterAll(() => close());

const verify = (token: string, ring: readonly TokenKey[] = all, at: { site?: string; nowS?: number } = {}) =>
  verifier(check, ring, at)(token);

/** Signed as kw does, with what the payload should not say. */
const signed = (payload: Record<string, unknown>, key: TokenKey = keys.HS256) =>
  signToken(payload as unknown as Claims, key);

describe('a token of ours', () => {
  test.each(ALGORITHMS)('says whose it is: %s', (algorithm) => {
    expect(verify(signToken(claims, keys[algorithm]))).toEqual(CLAIMS);
  });

  test('holds under a key that signs no more, and not when that is removed', () => {
    const token = signToken(claims, keys.HS256);
    expect(verify(token, [keys.HS256, keys.ES256])).toEqual(CLAIMS);
    expect(verify(token, [keys.ES256])).toBe('unknown_key');
    expect(verify(token, [])).toBe('unknown_key');
  });

  test('holds until its last second, and not in the next', () => {
    const token = signToken(claims, keys.HS256);
    expect(verify(token, all, { nowS: CLAIMS.exp - 1 })).toEqual(CLAIMS);
    expect(verify(token, all, { nowS: CLAIMS.exp })).toBe('expired');
    expect(verify(signed({ ...CLAIMS, exp: NOW_S - 10 }))).toBe('expired');
  });

  test('holds not before its time', () => {
    expect(verify(signed({ ...CLAIMS, nbf: NOW_S + 600 }))).toBe('not_yet_valid');
    expect(verify(signed({ ...CLAIMS, iat: NOW_S + 600 }))).toBe('not_yet_valid');
  });

  test('holds at its own site only', () => {
    const token = signToken(claims, keys.HS256);
    expect(verify(token, all, { site: 'nancy' })).toBe('other_site');
    expect(verify(signed({ ...CLAIMS, site: undefined }), all, { site: 'nancy' })).toMatchObject({
      sub: 'alice',
    });
  });

  test('of another issuer holds by the secret that it shares, without kid and jti', () => {
    const secret = 'x8Zk2mQv7Lr4Tn9Wb1Yc6Hd3Jf5Gs0Pa';
    const shared = sharedSecret(secret);
    const { jti: _, ...rest } = CLAIMS;
    const token = forge({ alg: 'HS256' }, rest, { hmac: secret });
    expect(verify(token, [...all, shared])).toEqual(rest);
    expect(verify(token, all)).toBe('unknown_key');
  });
});

describe('a token is refused', () => {
  const header = (key: TokenKey, alg: string = key.algorithm) => ({ alg, typ: 'JWT', kid: key.kid });

  test.each(['none', 'None', 'NONE', 'nOnE', '', 'HS384', 'RS512', 'PS256', null, 0, ['HS256'], undefined])(
    'whose algorithm is %j',
    (alg) => {
      for (const key of all) {
        const said = { ...header(key), alg };
        expect(typeof verify(forge(said, CLAIMS, { none: true }))).toBe('string');
        expect(typeof verify(`${forge(said, CLAIMS, { none: true })}AA`)).toBe('string');
      }
      expect(typeof verify(forge({ ...header(keys.HS256), alg }, CLAIMS, { hmac: keys.HS256.signing }))).toBe(
        'string',
      );
    },
  );

  test('whose signature is missing, even where everything else is right', () => {
    const [head, payload] = signToken(claims, keys.HS256).split('.');
    expect(verify(`${head}.${payload}.`)).toBe('malformed');
    expect(verify(`${head}.${payload}`)).toBe('malformed');
  });

  test.each(['RS256', 'ES256'] as const)('that takes the public key of %s for a secret', (algorithm) => {
    const key = keys[algorithm];
    const pem = key.verifying.export({ format: 'pem', type: 'spki' }).toString();
    const jwk = JSON.stringify(key.verifying.export({ format: 'jwk' }));
    const der = key.verifying.export({ format: 'der', type: 'spki' });
    for (const secret of [pem, pem.trim(), jwk, der]) {
      for (const alg of ['HS256', algorithm]) {
        expect(verify(forge(header(key, alg), CLAIMS, { hmac: secret }))).toMatch(
          /^(unknown_key|wrong_signature)$/,
        );
      }
      expect(verify(forge(header(keys.HS256), CLAIMS, { hmac: secret }))).toBe('wrong_signature');
    }
  });

  test('signed with an empty, a zero or another secret', () => {
    for (const hmac of ['', Buffer.alloc(1), Buffer.alloc(32), generateKey('HS256').signing]) {
      expect(verify(forge(header(keys.HS256), CLAIMS, { hmac }))).toBe('wrong_signature');
      expect(verify(forge({ alg: 'HS256' }, CLAIMS, { hmac }))).toBe('unknown_key');
    }
  });

  test('signed by another key pair, also one that it brings along', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = publicKey.export({ format: 'jwk' });
    expect(verify(forge({ ...header(keys.ES256), jwk }, CLAIMS, { ec: privateKey }))).toBe('wrong_signature');
    expect(verify(forge({ alg: 'ES256', jwk, jku: 'http://127.0.0.1/' }, CLAIMS, { ec: privateKey }))).toBe(
      'unknown_key',
    );
  });

  test('whose kid is that of another key, or a trick', () => {
    const kids = [
      keys.RS256.kid,
      keys.ES256.kid,
      'nobody',
      '../../dev/null',
      "' OR 1=1 --",
      '__proto__',
      null,
      0,
      {},
      [],
    ];
    for (const kid of kids) {
      expect(verify(forge({ alg: 'HS256', kid }, CLAIMS, { hmac: keys.HS256.signing }))).toBe('unknown_key');
    }
  });

  test('an ES256 signature in DER or of zeros', () => {
    const [head, payload] = signToken(claims, keys.ES256).split('.');
    expect(verify(`${head}.${payload}.${Buffer.alloc(64).toString('base64url')}`)).toBe('wrong_signature');
    expect(verify(`${head}.${payload}.MAYCAQECAQE`)).toBe('wrong_signature');
  });

  test('that asks for an extension', () => {
    const said = { ...header(keys.HS256), crit: ['exp'] };
    expect(verify(forge(said, CLAIMS, { hmac: keys.HS256.signing }))).toBe('malformed');
  });

  test('whose claims are not what they should be', () => {
    const wrong: Record<string, unknown>[] = [
      ...[
        { sub: undefined },
        { sub: '' },
        { sub: 7 },
        { sub: 'a\u0000b' },
        { sub: 'a\nb' },
        { sub: '\ud800' },
      ],
      ...[{ sub: 'x'.repeat(256) }, { sub: ['alice'] }],
      ...[
        { role: undefined },
        { role: 'postgres' },
        { role: 'kw_owner' },
        { role: 'kw_api' },
        { role: 'kw_reader"; --' },
      ],
      ...[{ role: ['kw_admin'] }, { role: 'KW_ADMIN' }],
      ...[
        { devices: 'node-1' },
        { devices: [1] },
        { devices: [''] },
        { devices: null },
        { devices: { length: 1 } },
      ],
      ...[{ metrics: 'x' }, { metrics: [['x']] }, { site: 7 }, { site: null }],
      ...[{ jti: undefined }, { jti: 7 }, { iat: 'now' }, { exp: undefined }, { exp: NOW_S + 600.5 }],
    ];
    for (const change of wrong)
      expect([change, verify(signed({ ...CLAIMS, ...change }))]).toEqual([change, 'wrong_claims']);
    for (const exp of ['9999999999', null, true, [9999999999], -1]) {
      expect([exp, typeof verify(signed({ ...CLAIMS, exp }))]).toEqual([exp, 'string']);
    }
    for (const payload of [[], 'text', 7, null]) {
      expect(typeof verify(forge(header(keys.HS256), payload, { hmac: keys.HS256.signing }))).toBe('string');
    }
  });

  test('that is huge, before it is looked at', () => {
    const devices = Array.from({ length: 900 }, (_, index) => `node-${index}.example.org`);
    const token = forge(header(keys.HS256), { ...CLAIMS, devices }, { hmac: keys.HS256.signing });
    expect(verify(token)).toBe('malformed');
    expect(() => signToken({ ...claims, devices }, keys.HS256)).toThrow(/fit into a header$/);
    expect(verify(`${'A'.repeat(50_000_000)}.A.A`)).toBe('malformed');
  });

  test('claims beyond those that are known are left out', () => {
    const token = signed({ ...CLAIMS, admin: true, __proto__: { role: 'kw_admin' }, aud: 'x' });
    expect(verify(token)).toEqual(CLAIMS);
  });
});

describe('of any text', () => {
  const token = signToken(claims, keys.HS256);
  const runs = { numRuns: 3000 };

  test('none is believed that we did not sign', () => {
    const part = fc.string({ unit: fc.constantFrom(...'abcXYZ019-_') });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.tuple(part, part, part).map((parts) => parts.join('.')),
        ),
        (text) => {
          expect(typeof verify(text)).toBe('string');
        },
      ),
      runs,
    );
  });

  test('none is believed that differs in one place from one of ours', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...all.map((key) => signToken(claims, key))),
        fc.nat(),
        fc.string({ minLength: 0, maxLength: 2 }),
        (real, at, text) => {
          const place = at % real.length;
          const other = real.slice(0, place) + text + real.slice(place + 1);
          fc.pre(other !== real);
          // The last character of a part may hold bits that mean nothing: the same bytes are the same signature.
          fc.pre(!sameBytes(other, real));
          expect(typeof verify(other)).toBe('string');
        },
      ),
      runs,
    );
  });

  test('headers of any content are believed with our key and its algorithm only', () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom('HS256', 'RS256', 'ES256', 'none', ...all.map(({ kid }) => kid)),
    );
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('alg', 'kid', 'typ', 'crit', 'jwk', 'b64'), value),
        (said) => {
          const result = verify(forge(said, CLAIMS, { hmac: keys.HS256.signing }));
          const ours = said.alg === 'HS256' && said.kid === keys.HS256.kid && said.crit === undefined;
          expect(typeof result).toBe(ours ? 'object' : 'string');
        },
      ),
      runs,
    );
  });

  test('payloads of any content never make another role than those that there are', () => {
    const payload = fc.record(
      {
        sub: fc.oneof(fc.string(), fc.jsonValue()),
        role: fc.oneof(fc.constantFrom('kw_reader', 'kw_admin', 'postgres', 'kw_owner'), fc.jsonValue()),
        devices: fc.oneof(fc.array(fc.string()), fc.jsonValue()),
        exp: fc.oneof(fc.constant(CLAIMS.exp), fc.jsonValue()),
        jti: fc.oneof(fc.string(), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(payload, (said) => {
        const result = verify(signed(said));
        if (typeof result === 'string') return;
        expect(['kw_reader', 'kw_writer', 'kw_scheduler', 'kw_admin']).toContain(result.role);
        expect([result.sub, result.exp, result.jti]).toEqual([said.sub, said.exp, said.jti]);
      }),
      runs,
    );
  });

  function sameBytes(one: string, other: string): boolean {
    const bytes = (text: string) =>
      text.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex'));
    return /^[\w.-]+$/.test(one) && bytes(one).join('.') === bytes(other).join('.');
  }

  test('the real one still holds', () => {
    expect(verify(token)).toEqual(CLAIMS);
    expect(createSecretKey(keys.HS256.signing.export()).equals(keys.HS256.verifying)).toBe(true);
  });
});
