/** Does something again and again, from start to start, until it is to end. */
import { pause } from './pause.ts';

/**
 * @param work begun at once, then every `intervalMs` after it began; work that takes longer delays the next one
 * @returns when `signal` is aborted and the work that was under way has ended
 */
export async function every(
  intervalMs: number,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    const startedMs = performance.now();
    await work();
    await pause(intervalMs - (performance.now() - startedMs), signal);
  }
}
