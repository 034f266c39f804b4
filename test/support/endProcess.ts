/** Ends a program that a test started. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Resolves when it is over: asked to end, also while it is stopped, and killed if that takes longer than `patienceMs`. */
export async function endProcess(child: ChildProcess, patienceMs = 3_000): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGCONT');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), patienceMs);
  await ended;
  clearTimeout(timer);
}
