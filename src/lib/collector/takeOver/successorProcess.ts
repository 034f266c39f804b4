/**
 * SIGUSR2: a collector starts its own successor, from the same command line, so with what is installed now. The
 * successor asks to take over; if it ends instead, this one goes on.
 */
import { spawn } from 'node:child_process';
import type { Logger } from '../../logger.ts';

const FLAG = '--take-over';

/** @param isPossible a collector of standard input cannot hand that over. @returns what stops listening */
export function startSuccessorOnSignal(logger: Logger, isPossible: boolean): () => void {
  let isRunning = false;
  const onSignal = () => {
    if (!isPossible) {
      logger.error(
        'standard input cannot be handed over to another process: stop this collector, and start it again',
      );
      return;
    }
    if (isRunning) return;
    isRunning = true;
    const args = process.argv.slice(1).filter((argument) => argument !== FLAG);
    const child = spawn(process.execPath, [...process.execArgv, ...args, FLAG], { stdio: 'inherit' });
    logger.info({ successor: child.pid }, 'SIGUSR2: a new process of kw is started to take over');
    const onEnd = (problem: string) => {
      isRunning = false;
      logger.error({ problem }, 'the new process has not taken over: this one goes on');
    };
    child.once('error', ({ message }) => onEnd(message));
    child.once('exit', (code, signal) => onEnd(signal ?? `exit code ${code}`));
    child.unref();
  };
  process.on('SIGUSR2', onSignal);
  return () => {
    process.off('SIGUSR2', onSignal);
    process.on('SIGUSR2', () => {});
  };
}
