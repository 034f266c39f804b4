/** All commands, by oclif. A module of its own, so that quick.ts runs without loading it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Config, flush, handle, type Interfaces, run, settings } from '@oclif/core';
import type { KwError } from '../lib/errors.ts';
import { packageRoot } from '../lib/packageRoot.ts';
import { unknownCommand } from './unknownCommand.ts';

/** The commands of kw's oclif plugins, and the list of all commands. */
const NEED_PLUGINS = new Set([undefined, 'help', '--help', '-h', 'autocomplete']);

export async function runEveryCommand(): Promise<void> {
  // Commands come from the bundle, always: without this, NODE_ENV=test sends oclif looking for ts-node.
  settings.enableAutoTranspile = false;
  const words = helpLast(process.argv.slice(2));
  const options = loadOptions(words[0]);
  try {
    await run(words, options);
    flush();
  } catch (error) {
    const unknown = error instanceof Error ? await nameUnknown(error, options) : undefined;
    if (unknown === undefined) return handle(error as Error);
    process.stderr.write(`kw: ${unknown.message}\n    ${unknown.hint}\n`);
    process.exitCode = unknown.exit;
  }
}

/** `help db start` as `db start --help`: oclif's plugin knows nothing of the helpOptions of package.json. */
function helpLast(words: string[]): string[] {
  const [first, ...rest] = words;
  const names = first === 'help' && rest.length > 0 && rest.every((word) => !word.startsWith('-'));
  return names ? [...rest, '--help'] : words;
}

async function nameUnknown(error: Error, options: Interfaces.LoadOptions): Promise<KwError | undefined> {
  const { commandIDs, topics } = await Config.load(options);
  return unknownCommand(error, [...commandIDs, ...topics.map(({ name }) => name)]);
}

/** Looking for plugins and reading them takes 20 ms; most commands do without. */
function loadOptions(firstArgument: string | undefined): Interfaces.LoadOptions {
  const root = packageRoot();
  const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Interfaces.PJSON;
  if (!NEED_PLUGINS.has(firstArgument)) pjson.oclif.plugins = [];
  return { root, pjson, userPlugins: false };
}
