/**
 * The file with the keys of tokens: a JSON Web Key Set that nobody but its owner may read. The last key signs; those before
 * it verify the tokens that they signed, until they are removed.
 */
import {
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KwError, systemWords } from '../errors.ts';
import { parseJwk, privateJwk, type TokenKey } from './keys.ts';

const MAX_FILE_BYTES = 1_000_000;
/** A change takes milliseconds; whoever holds the file for this long has died or hangs. */
const BUSY_MS = 5_000;
const POLL_MS = 25;

/**
 * The keys, the one that signs last; none when there is no file.
 * @throws KwError KEYS_UNSAFE when others may read or change the file, KEYS_UNREADABLE, KEYS_INVALID
 */
export function readKeys(path: string): TokenKey[] {
  const text = readPrivate(path);
  return text === undefined ? [] : parseKeys(text, path);
}

/**
 * Replaces the keys by what `change` makes of them. Whoever else wants to change them waits until that is done.
 * @throws KwError as readKeys, KEYS_BUSY when another one does not end within `busyMs`; what `change` throws
 */
export async function changeKeys(
  path: string,
  change: (keys: readonly TokenKey[]) => readonly TokenKey[],
  busyMs = BUSY_MS,
): Promise<TokenKey[]> {
  const next = `${path}.new`;
  const handle = await createNext(path, next, busyMs);
  try {
    const keys = [...change(readKeys(path))];
    writeFileSync(handle, `${JSON.stringify({ keys: keys.map(privateJwk) }, null, 2)}\n`, { flush: true });
    closeSync(handle);
    renameSync(next, path);
    return keys;
  } catch (error) {
    unlinkSync(next);
    throw error;
  }
}

/** The file that is to become the keys; that it exists means that somebody changes them. */
async function createNext(path: string, next: string, busyMs: number): Promise<number> {
  for (const deadline = performance.now() + busyMs; ; await sleep(POLL_MS)) {
    const handle = tryCreate(path, next);
    if (handle !== undefined) return handle;
    if (performance.now() < deadline) continue;
    throw new KwError(`another kw has been changing the keys in ${path} for ${busyMs / 1000} s`, {
      code: 'KEYS_BUSY',
      hint: `if no other kw runs, remove what one left behind: rm ${next}`,
    });
  }
}

/** Undefined while another one has it. */
function tryCreate(path: string, next: string): number | undefined {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return openSync(next, 'wx', 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined;
    throw new KwError(`cannot write the keys in ${path}: ${systemWords(error as Error)}`, {
      code: 'KEYS_UNREADABLE',
      hint: 'name a file that this user may write as server.keys in kw.yaml',
      cause: error,
    });
  }
}

function readPrivate(path: string): string | undefined {
  let handle: number;
  try {
    // Not blocking: a FIFO without a writer would hold the command for ever.
    handle = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new KwError(`cannot read the keys in ${path}: ${systemWords(error as Error)}`, {
      code: 'KEYS_UNREADABLE',
      hint: 'run kw as the user whose keys they are, or name another file as server.keys in kw.yaml',
      cause: error,
    });
  }
  try {
    const stat = fstatSync(handle);
    if (!stat.isFile() || stat.size > MAX_FILE_BYTES) throw invalid(path, 'it is no file of keys');
    const own = process.getuid === undefined || stat.uid === process.getuid() || stat.uid === 0;
    if ((stat.mode & 0o077) !== 0 || !own) {
      throw new KwError(`others may read or change the keys in ${path}, so kw does not use them`, {
        code: 'KEYS_UNSAFE',
        hint: `if nobody has read them: chmod 600 ${path}; else rotate and remove them: kw token key rotate`,
      });
    }
    return readFileSync(handle, 'utf8');
  } finally {
    closeSync(handle);
  }
}

function parseKeys(text: string, path: string): TokenKey[] {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    throw invalid(path, 'it is no JSON');
  }
  const list = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined;
  if (!Array.isArray(list)) throw invalid(path, 'it has no list "keys"');
  const keys = list.map((jwk, index) => {
    const key = parseJwk(jwk);
    if (typeof key === 'string') throw invalid(path, `key ${index + 1}: ${key}`);
    return key;
  });
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length)
    throw invalid(path, 'two keys have the same kid');
  return keys;
}

function invalid(path: string, why: string): KwError {
  return new KwError(`the keys in ${path} cannot be used: ${why}`, {
    code: 'KEYS_INVALID',
    hint: 'restore the file, or remove it (all tokens end then) and run kw token key rotate',
  });
}
