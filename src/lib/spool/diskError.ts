/** What the disk under the spool refuses, in words that help. */
import { codeOf, KwError, systemWords } from '../errors.ts';

/** `full` goes away by itself or with a larger disk, `read-only` and `forbidden` by an administrator. */
export type DiskProblem = 'full' | 'read-only' | 'forbidden' | 'failing';

const PROBLEMS: Readonly<Record<string, DiskProblem>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  EFBIG: 'full',
  EROFS: 'read-only',
  EACCES: 'forbidden',
  EPERM: 'forbidden',
};

const HINTS: Readonly<Record<DiskProblem, string>> = {
  full: 'make room on its file system, or set spool.max_bytes lower, or spool.folder to another disk',
  'read-only': 'mount its file system for writing: Linux makes it read-only by itself when the disk fails',
  forbidden: 'let the user that kw runs as write there',
  failing: "look at the disk's health: the kernel's log (dmesg) says more",
};

/** The disk does not take what was appended. What was given is not in the spool. */
export class SpoolDiskError extends KwError {
  readonly kind: DiskProblem;
  /** File or folder. */
  readonly path: string;

  constructor(path: string, cause: unknown, verb: 'write to' | 'read' = 'write to') {
    const kind = PROBLEMS[codeOf(cause) ?? ''] ?? 'failing';
    const words = cause instanceof Error ? systemWords(cause) : String(cause);
    super(`the spool cannot ${verb} ${path}: ${words}`, { code: 'SPOOL_DISK', hint: HINTS[kind], cause });
    this.name = 'SpoolDiskError';
    this.kind = kind;
    this.path = path;
  }
}
