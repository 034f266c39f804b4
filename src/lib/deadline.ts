/**
 * Bounds a command that a prolog waits for. Name look-ups, connects and answers that never come do not end by
 * themselves, and what cannot be cancelled can only be left behind: when the time is up, the process ends.
 */
import { writeSync } from 'node:fs';
import { EXIT_FAILURE } from './errors.ts';

export interface Deadline {
  /** What is left, at least 1: for timeouts of connections and statements, so that the server gives up too. */
  remainingMs(): number;
  /** What does not answer if the time is up now; undefined is the database. */
  waitsFor(what: string | undefined): void;
  /** The work is done: the process may go on. */
  cancel(): void;
}

export interface DeadlineOptions {
  /** Counted from the start of the process, so that loading kw counts too. */
  timeoutMs: number;
  /** A short sentence for stderr, such as `nothing was enabled`. */
  consequence: string;
  /** Print an error object on stdout instead, as --json does. */
  json: boolean;
}

/** Ends the process with exit code 1 and one sentence when the time is up, unless cancelled before. */
export function startDeadline({ timeoutMs, consequence, json }: DeadlineOptions): Deadline {
  const endMs = timeoutMs;
  let waitsFor: string | undefined;
  const timer = setTimeout(
    () => {
      const message = `gave up after ${timeoutMs / 1000} s: ${waitsFor ?? 'the database'} does not answer; ${consequence}`;
      const hint = `${waitsFor === undefined ? 'see kw db status' : 'see whether its server is there'}, or allow more time with --timeout`;
      // Synchronous: nothing that is queued is written once the process ends.
      if (json) writeSync(1, `${JSON.stringify({ error: { message, code: 'TIMEOUT', hint } }, null, 2)}\n`);
      else writeSync(2, `kw: ${message}\n    ${hint}\n`);
      process.exit(EXIT_FAILURE);
    },
    Math.max(1, endMs - performance.now()),
  );
  return {
    waitsFor: (what) => {
      waitsFor = what;
    },
    remainingMs: () => Math.max(1, Math.floor(endMs - performance.now())),
    cancel: () => clearTimeout(timer),
  };
}
