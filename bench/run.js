/**
 * Runs a measurement from its TypeScript: `node bench/run.js snmp/codec [arguments]`.
 * Bundled first, since Node 20 does not read TypeScript.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

const [name, ...rest] = process.argv.slice(2);
if (!name) {
  console.error('which one? node bench/run.js snmp/codec');
  process.exit(2);
}
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'node_modules/.cache/kw-bench');
mkdirSync(folder, { recursive: true });
const file = join(folder, `${name.replaceAll('/', '-')}-${process.pid}.mjs`);
await build({
  entryPoints: [join(root, 'bench', `${name}.ts`)],
  outfile: file,
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20',
  logLevel: 'warning',
});
process.on('exit', () => rmSync(file, { force: true }));
process.argv = [process.execPath, file, ...rest];
await import(pathToFileURL(file).href);
