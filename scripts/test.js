/**
 * npm test: everything. Installs and builds where needed, then Biome, tsc, knip, and vitest with coverage.
 * Tests that need a program which this machine lacks skip by name; KW_TEST_NO_SKIP=1 forbids that.
 *
 *   npm test                     all
 *   npm test -- test/unit/...    vitest's arguments; the other checks are left out
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { prepare, root } from './prepare.js';
import { readResults } from './testResults.js';

const resultsFile = join(root, 'tmp', 'vitest.json');
const vitestArgs = process.argv.slice(2);
const say = (text) => process.stderr.write(`--- ${text}\n`);

const failed = [];

function check(name, args) {
  const startedAt = Date.now();
  say(name);
  const bin = join(root, 'node_modules', '.bin', name.split(' ')[0]);
  const { status } = spawnSync(bin, args, { cwd: root, stdio: 'inherit', env: testEnv() });
  say(
    `${name}: ${status === 0 ? 'passed' : 'FAILED'} after ${((Date.now() - startedAt) / 1000).toFixed(1)} s`,
  );
  if (status !== 0) failed.push(name);
}

/** Settings of whoever runs the tests are not for the tests. */
function testEnv() {
  const env = { ...process.env };
  for (const name of Object.keys(env)) {
    if (/^(KW_(?!TEST_)|PG|OAR_|SLURM_)/.test(name)) delete env[name];
  }
  return env;
}

try {
  await prepare(say);
} catch (error) {
  process.stderr.write(`npm test: ${error.message}\n`);
  process.exit(1);
}
if (vitestArgs.length === 0) {
  check('biome', ['check', '--error-on-warnings', '.']);
  check('tsc', ['--noEmit']);
  check('tsc of the page', ['--noEmit', '-p', 'web']);
  check('knip', []);
}
mkdirSync(dirname(resultsFile), { recursive: true });
rmSync(resultsFile, { force: true });
const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${resultsFile}`];
check('vitest', ['run', '--coverage', ...reporters, ...vitestArgs]);

const results = readResults(resultsFile);
for (const name of results.skipped) say(`skipped: ${name}`);
for (const name of results.retried) say(`passed at the second try only: ${name}`);
if (process.env.KW_TEST_NO_SKIP && results.forbiddenSkips.length > 0) {
  failed.push(`${results.forbiddenSkips.length} tests skipped, which KW_TEST_NO_SKIP forbids`);
}
say(`${results.passed} passed, ${results.failed} failed, ${results.skipped.length} skipped`);
if (failed.length > 0) say(`FAILED: ${failed.join(', ')}`);
process.exit(failed.length === 0 ? 0 : 1);
