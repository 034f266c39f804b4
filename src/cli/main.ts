/** Where every kw process begins: bin/run.js calls main(). */
import { EXIT_FAILURE, systemWords } from '../lib/errors.ts';
import { runQuick } from './quick.ts';

/** Runs the command named by the process's arguments. */
export async function main(): Promise<void> {
  // A reader that has seen enough (`kw query | head`) ends the command; it is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    process.stderr.write(`kw: cannot write to the standard output: ${systemWords(error)}\n`);
    process.exit(EXIT_FAILURE);
  });
  if (await runQuick(process.argv.slice(2))) return;
  const { runEveryCommand } = await import('./everyCommand.ts');
  await runEveryCommand();
}
