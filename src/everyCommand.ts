/** All commands, by oclif. A module of its own, so that quick.ts runs without loading it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execute, type Interfaces, settings } from '@oclif/core';
import { packageRoot } from './lib/packageRoot.ts';

/** The commands of kw's oclif plugins, and the list of all commands. */
const NEED_PLUGINS = new Set([undefined, 'help', '--help', '-h', 'autocomplete']);

export async function runEveryCommand(): Promise<void> {
  // Commands come from the bundle, always: without this, NODE_ENV=test sends oclif looking for ts-node.
  settings.enableAutoTranspile = false;
  await execute({ loadOptions: loadOptions(process.argv[2]) });
}

/** Looking for plugins and reading them takes 20 ms; most commands do without. */
function loadOptions(firstArgument: string | undefined): Interfaces.LoadOptions {
  const root = packageRoot();
  const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Interfaces.PJSON;
  if (!NEED_PLUGINS.has(firstArgument)) pjson.oclif.plugins = [];
  return { root, pjson, userPlugins: false };
}
