/** Does something again and again, from start to start, until it is to end. */

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

function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted || delayMs <= 0) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, delayMs);
    signal.addEventListener('abort', end);
  });
}
