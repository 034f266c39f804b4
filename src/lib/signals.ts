/** SIGINT (Ctrl-C) and SIGTERM, the two signals that end a command. */

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;
const NAMES = ['SIGINT', 'SIGTERM'] as const;

/**
 * Calls `use` once, at the first signal, with the exit code that is usual for it; the next one ends the process as if
 * nobody listened.
 * @returns what stops listening
 */
export function onceSignalled(use: (exitCode: number) => void): () => void {
  const handler = (signal: (typeof NAMES)[number]) => {
    remove();
    use(EXIT_CODES[signal]);
  };
  const remove = () => {
    for (const name of NAMES) process.removeListener(name, handler);
  };
  for (const name of NAMES) process.on(name, handler);
  return remove;
}

/** Resolves at the first signal. The second ends the process at once, with exit code 1: for daemons, which end in order. */
export function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const onSignal = (signal: NodeJS.Signals) => {
      for (const name of NAMES) {
        process.off(name, onSignal);
        process.once(name, () => process.exit(1));
      }
      resolve(signal);
    };
    for (const name of NAMES) process.on(name, onSignal);
  });
}
