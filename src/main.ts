/** Where every kw process begins: bin/run.js calls main(). */
import { execute, settings } from '@oclif/core';

/** Runs the command named by the process's arguments. `binUrl` is import.meta.url of the file in bin/. */
export async function main(binUrl: string): Promise<void> {
  // Commands come from the bundle, always: without this, NODE_ENV=test sends oclif looking for ts-node.
  settings.enableAutoTranspile = false;
  // A reader that has seen enough (`kw query | head`) ends the command; it is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  await execute({ dir: binUrl });
}
