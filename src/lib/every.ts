/** Does something again and again, from start to start, until it is to end; sooner when it is woken. */
import { pause } from './pause.ts';

/** Who wakes it often does not make it more frequent than this. */
const SOONEST_MS = 1_000;

/**
 * @param work begun at once, then every `intervalMs` after it began; work that takes longer delays the next one
 * @param onWake is given a function that brings the next time forward, to a second after the last began
 * @returns when `signal` is aborted and the work that was under way has ended
 */
export async function every(
  intervalMs: number,
  signal: AbortSignal,
  work: () => Promise<void>,
  onWake: (wake: () => void) => void = () => {},
): Promise<void> {
  let woken = new AbortController();
  onWake(() => woken.abort());
  while (!signal.aborted) {
    const startedMs = performance.now();
    // What wakes it while it works may be newer than what the work saw.
    woken = new AbortController();
    await work();
    const leftMs = () => intervalMs - (performance.now() - startedMs);
    await pause(leftMs(), AbortSignal.any([signal, woken.signal]));
    await pause(Math.min(leftMs(), SOONEST_MS - (performance.now() - startedMs)), signal);
  }
}
