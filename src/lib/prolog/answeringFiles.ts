/**
 * Files on a file system that hangs (a dead NFS server). Opening one never returns, in Node's main thread or in
 * another, and what is worse, process.exit() waits for the other. So a child opens them first; a child that does not
 * come back is left behind.
 */
import { spawn } from 'node:child_process';
import type { Deadline } from '../deadline.ts';

/** By its full path: a folder in PATH may hang too. */
const HEAD = '/usr/bin/head';
/** The first of its arguments that exists, or is a link; a byte is read. */
const READ_FIRST = `for f; do if [ -e "$f" ] || [ -h "$f" ]; then exec ${HEAD} -c 1 -- "$f"; fi; done`;

/** Resolves when the first of these files that exists has answered, with data or a refusal, and those before it. */
export function firstFileAnswers(deadline: Deadline, paths: readonly string[]): Promise<void> {
  return answer(deadline, paths, '/bin/sh', ['-c', READ_FIRST, 'sh']);
}

/** Resolves when all of these files have answered. */
export function filesAnswer(deadline: Deadline, paths: readonly string[]): Promise<void> {
  return answer(deadline, paths, HEAD, ['-c', '1', '--']);
}

function answer(
  deadline: Deadline,
  paths: readonly string[],
  program: string,
  args: readonly string[],
): Promise<void> {
  const usable = paths.filter((path) => path !== '' && !path.includes('\0'));
  if (usable.length === 0) return Promise.resolve();
  deadline.waitsFor(`the file system of ${usable.join(' or ')}`);
  return new Promise((resolve) => {
    const done = () => {
      deadline.waitsFor(undefined);
      resolve();
    };
    // No pipes: nobody shall wait for it when this process is gone. A system without the program goes on unguarded.
    const child = spawn(program, [...args, ...usable], { stdio: 'ignore', detached: true });
    child.once('error', done).once('close', done);
  });
}
