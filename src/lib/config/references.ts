/**
 * Secrets that stand elsewhere: `${env:NAME}` is an environment variable, `${file:PATH}` the text of a file
 * without its last newline. They may stand anywhere in a text, several of them too; what they stand for is
 * never looked at again, so that a password may hold `${`.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { KwError } from '../errors.ts';

const REFERENCE = /\$\{([A-Za-z]+):([^{}]*)\}/g;

/** A secret is a line, not a book; this bounds what a wrong path can do. */
const MAX_SECRET_BYTES = 65_536;

export interface ReferenceSource {
  /** Folder that relative paths start from: that of the file in which the reference stands. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  /** Applied to each secret before it is put in its place, such as encodeURIComponent in a URL. */
  readonly encode?: (secret: string) => string;
}

/** Whether the text has anything to resolve. */
export function hasReference(text: string): boolean {
  return text.includes('${');
}

/** The text without its references, to see whether it holds secrets of its own. */
export function withoutReferences(text: string): string {
  return text.replace(REFERENCE, '');
}

/** The files that `resolveReferences` would read. */
export function referencedFiles(text: string, folder: string): string[] {
  return [...text.matchAll(REFERENCE)].flatMap(([, kind, target = '']) =>
    kind === 'file' ? [isAbsolute(target) ? target : join(folder, target)] : [],
  );
}

/** The text with its references replaced. Throws KwError BAD_REFERENCE; the message names the reference, never a secret. */
export function resolveReferences(text: string, source: ReferenceSource): string {
  if (!hasReference(text)) return text;
  return text.replace(REFERENCE, (_, kind: string, target: string) => {
    const secret = resolveOne(kind, target, source);
    return source.encode ? source.encode(secret) : secret;
  });
}

function resolveOne(kind: string, target: string, source: ReferenceSource): string {
  if (kind === 'env') {
    const value = source.env[target];
    if (value !== undefined) return value;
    throw new KwError(`the environment variable ${JSON.stringify(target)} is not set`, {
      code: 'BAD_REFERENCE',
      hint: `set it, or use \${file:PATH}`,
    });
  }
  if (kind === 'file') return readSecret(isAbsolute(target) ? target : join(source.folder, target));
  throw new KwError(`\${${kind}:...} is no reference that kw knows`, {
    code: 'BAD_REFERENCE',
    hint: `write \${env:NAME} or \${file:PATH}`,
  });
}

function readSecret(path: string): string {
  let handle: number | undefined;
  try {
    if (path.includes('\0')) throw new Error('its path contains a NUL character');
    // Not blocking: a FIFO without a writer would hold the command for ever.
    handle = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(handle);
    if (!stat.isFile()) throw new Error('it is not a regular file');
    if (stat.size > MAX_SECRET_BYTES) throw new Error(`it has more than ${MAX_SECRET_BYTES} bytes`);
    const buffer = Buffer.alloc(MAX_SECRET_BYTES);
    const length = readSync(handle, buffer, 0, MAX_SECRET_BYTES, 0);
    return buffer.toString('utf8', 0, length).replace(/\r?\n$/, '');
  } catch (error) {
    throw new KwError(`cannot read the secret in ${JSON.stringify(path)}: ${reason(error)}`, {
      code: 'BAD_REFERENCE',
      hint: 'it must be a file that this user may read',
      cause: error,
    });
  } finally {
    if (handle !== undefined) closeSync(handle);
  }
}

/** What the system said, in words, without the path and the system call. */
export function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
  if (code === 'EISDIR') return 'it is a folder';
  if (code === 'ENOTDIR') return 'a part of its path is no folder';
  if (code === 'ELOOP') return 'its links go round in circles';
  return error instanceof Error ? error.message : String(error);
}
