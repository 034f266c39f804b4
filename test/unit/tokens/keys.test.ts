/** Keys of tokens: what is accepted as one, and the file that they are in. */
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { KwError } from '../../../src/lib/errors.ts';
import { changeKeys, readKeys } from '../../../src/lib/tokens/keyFile.ts';
import {
  ALGORITHMS,
  generateKey,
  parseJwk,
  privateJwk,
  secretProblem,
  sharedSecret,
  verifyingJwk,
} from '../../../src/lib/tokens/keys.ts';
import { temporaryFolder } from '../../support/temporaryFolder.ts';

function fileOfKeys(): string {
  const { folder, remove } = temporaryFolder();
  onTestFinished(remove);
  return join(folder, 'sub', 'keys.json');
}

function failure(use: () => unknown): [code: string, message: string] {
  try {
    use();
  } catch (error) {
    if (error instanceof KwError) return [error.code, error.message];
  }
  throw new Error('it did not fail as it should');
}

describe('a secret is refused', () => {
  test.each([
    ['', 'it is empty'],
    ['   ', 'it is empty'],
    ['short', 'it has 5 bytes, and at least 32 are needed'],
    ['a'.repeat(64), 'it repeats itself'],
    // What Kwollect's set-up makes of the database password.
    ['pa55wordpa55wordpa55wordpa55word', 'it repeats itself'],
    ['change-me-change-me-please-secret-default', 'it is made of the words of examples'],
    ['your-256-bit-secret-your-secret-key', 'it is made of the words of examples'],
    ['-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A', 'it is a key file, not a secret'],
    ['{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM"}', 'it is a key file, not a secret'],
  ])('%j', (secret, problem) => {
    expect(secretProblem(secret)).toBe(problem);
    const [code, message] = failure(() => sharedSecret(secret));
    expect(code).toBe('WEAK_SECRET');
    expect(message).toBe(`server.jwt_secret is no secret: ${problem}`);
  });

  test('unless it is one: 32 random bytes as hexadecimal or base64', () => {
    expect(secretProblem('9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08')).toBeUndefined();
    expect(secretProblem('4WTXmGJNz0n8nQm1kB0ozQVh0F2F3cN6pXzJ6d0wV9E=')).toBeUndefined();
  });
});

describe('a JSON Web Key', () => {
  test.each(ALGORITHMS)('of %s comes back as it was written', (algorithm) => {
    const key = generateKey(algorithm);
    const read = parseJwk(JSON.parse(JSON.stringify(privateJwk(key))));
    if (typeof read === 'string') throw new Error(read);
    expect([read.kid, read.algorithm, read.createdAt]).toEqual([key.kid, key.algorithm, key.createdAt]);
    expect(read.signing.equals(key.signing)).toBe(true);
    expect(read.verifying.equals(key.verifying)).toBe(true);
  });

  test.each(['RS256', 'ES256'] as const)(
    'that is exported for verifying holds nothing private: %s',
    (algorithm) => {
      const exported = Object.keys(verifyingJwk(generateKey(algorithm)));
      expect(exported.filter((name) => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].includes(name))).toEqual([]);
    },
  );

  test('is refused when it is weak or none', () => {
    const key = { kty: 'oct', alg: 'HS256', kid: 'a' };
    expect(parseJwk({ ...key, k: '' })).toBe('its secret has 0 bytes, and at least 32 are needed');
    expect(parseJwk({ ...key, k: 'c2hvcnQ' })).toBe('its secret has 5 bytes, and at least 32 are needed');
    expect(parseJwk({ ...key, k: Buffer.alloc(32).toString('base64url') })).toBe('its secret repeats itself');
    expect(parseJwk({ ...key, kid: '', k: 'x' })).toBe('its kid is missing or no word');
    expect(parseJwk({ ...key, alg: 'none', k: 'x' })).toBe('its alg is none of HS256, RS256, ES256');
    expect(parseJwk({ ...privateJwk(generateKey('ES256')), alg: 'RS256' })).toBe('it is no RSA key');
    expect(parseJwk({ ...privateJwk(generateKey('RS256')), alg: 'HS256' })).toBe('it is no secret (kty oct)');
    expect(parseJwk(verifyingJwk(generateKey('RS256')))).toBe('it is no private key');
    expect(parseJwk(null)).toBe('it is no object');
  });
});

describe('the file of keys', () => {
  test('is made with 0600 in a folder with 0700, and keeps the order', async () => {
    const path = fileOfKeys();
    const [first, second] = [generateKey('HS256'), generateKey('ES256')];
    expect(readKeys(path)).toEqual([]);
    await changeKeys(path, (keys) => [...keys, first]);
    await changeKeys(path, (keys) => [...keys, second]);
    expect(readKeys(path).map(({ kid }) => kid)).toEqual([first.kid, second.kid]);
    expect((statSync(path).mode & 0o777).toString(8)).toBe('600');
    expect((statSync(join(path, '..')).mode & 0o777).toString(8)).toBe('700');
    expect(existsSync(`${path}.new`)).toBe(false);
  });

  test('is refused when others may read or change it', async () => {
    const path = fileOfKeys();
    await changeKeys(path, () => [generateKey('HS256')]);
    for (const mode of [0o640, 0o604, 0o620, 0o666]) {
      chmodSync(path, mode);
      expect(failure(() => readKeys(path))[0]).toBe('KEYS_UNSAFE');
    }
  });

  test('is refused when it is damaged, and no message tells what stands in it', async () => {
    const path = fileOfKeys();
    await changeKeys(path, () => [generateKey('HS256')]);
    const secret = JSON.parse(readFileSync(path, 'utf8')).keys[0].k as string;
    for (const text of [
      '',
      '{"keys"',
      '{}',
      '{"keys": {}}',
      `{"keys": ["${secret}"]}`,
      `["${secret}"]`,
      secret,
    ]) {
      writeFileSync(path, text);
      const [code, message] = failure(() => readKeys(path));
      expect(code).toBe('KEYS_INVALID');
      expect(message).not.toContain(secret);
    }
    const key = privateJwk(generateKey('HS256'));
    writeFileSync(path, JSON.stringify({ keys: [key, key] }));
    expect(failure(() => readKeys(path))[1]).toMatch(/two keys have the same kid$/);
  });

  test('is changed by one at a time: the others wait, but not for ever', async () => {
    const path = fileOfKeys();
    const added = await Promise.all(
      [1, 2, 3].map(async () => {
        const key = generateKey('HS256');
        await changeKeys(path, (keys) => [...keys, key]);
        return key.kid;
      }),
    );
    expect(
      readKeys(path)
        .map(({ kid }) => kid)
        .sort(),
    ).toEqual(added.sort());
    writeFileSync(`${path}.new`, '');
    await expect(changeKeys(path, () => [], 0)).rejects.toMatchObject({ code: 'KEYS_BUSY' });
    const later = changeKeys(path, () => [generateKey('HS256')]);
    rmSync(`${path}.new`);
    expect(await later).toHaveLength(1);
  });

  test('stays as it was when a change fails', async () => {
    const path = fileOfKeys();
    await changeKeys(path, () => [generateKey('HS256')]);
    const before = readFileSync(path, 'utf8');
    const change = changeKeys(path, () => {
      throw new KwError('no', { code: 'NO' });
    });
    await expect(change).rejects.toThrow('no');
    expect(readFileSync(path, 'utf8')).toBe(before);
    rmSync(path);
    expect(readKeys(path)).toEqual([]);
  });
});
