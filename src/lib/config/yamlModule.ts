/**
 * The yaml package, loaded when the first file is parsed and not before: loading it takes 30 ms, and a job's
 * prolog waits for `kw enable`. Settings are read synchronously, hence require and not import().
 */
import { createRequire } from 'node:module';
import type * as Yaml from 'yaml';

const require = createRequire(import.meta.url);
let loaded: typeof Yaml | undefined;

export function yamlModule(): typeof Yaml {
  loaded ??= require('yaml') as typeof Yaml;
  return loaded;
}
