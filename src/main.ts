/** Where every kw process begins: bin/run.js calls main(). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execute, type Interfaces, settings } from '@oclif/core';
import { packageRoot } from './lib/packageRoot.ts';

/** The commands of kw's oclif plugins, and the list of all commands. */
const NEED_PLUGINS = new Set([undefined, 'help', '--help', '-h', 'autocomplete']);

/** Runs the command named by the process's arguments. */
export async function main(): Promise<void> {
  // Commands come from the bundle, always: without this, NODE_ENV=test sends oclif looking for ts-node.
  settings.enableAutoTranspile = false;
  // A reader that has seen enough (`kw query | head`) ends the command; it is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  await execute({ loadOptions: loadOptions(process.argv[2]) });
}

/** Looking for plugins and reading them takes 20 ms; most commands do without. */
function loadOptions(firstArgument: string | undefined): Interfaces.LoadOptions {
  const root = packageRoot();
  const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Interfaces.PJSON;
  if (!NEED_PLUGINS.has(firstArgument)) pjson.oclif.plugins = [];
  return { root, pjson, userPlugins: false };
}
