/**
 * Counts of a vitest run, from its JSON report.
 *
 *   node scripts/testResults.js tmp/vitest.json     prints `N passed, N failed`, after the tests that passed at a second try
 */
import { existsSync, readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/** Only a native TimescaleDB, which no Debian package brings, may be missing where nothing may skip. */
const MAY_SKIP = /native TimescaleDB/;

/** `skipped`, `forbiddenSkips` and `retried` are names. A file that could not be loaded counts as one failed test. */
export function readResults(file) {
  if (!existsSync(file)) return { passed: 0, failed: 1, skipped: [], forbiddenSkips: [], retried: [] };
  const { testResults } = JSON.parse(readFileSync(file, 'utf8'));
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const inStatus = (...wanted) => tests.filter(({ status }) => wanted.includes(status));
  const brokenFiles = testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  const skipped = inStatus('skipped', 'pending', 'todo').map(({ fullName }) => fullName);
  return {
    passed: inStatus('passed').length,
    failed: inStatus('failed').length + brokenFiles.length,
    skipped,
    forbiddenSkips: skipped.filter((name) => !MAY_SKIP.test(name)),
    // What failed at the first try is kept with a test that passed.
    retried: inStatus('passed')
      .filter(({ failureMessages }) => failureMessages?.length > 0)
      .map(({ fullName }) => fullName),
  };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { passed, failed, forbiddenSkips, retried } = readResults(process.argv[2]);
  const refused = process.env.KW_TEST_NO_SKIP ? forbiddenSkips.length : 0;
  for (const name of retried) process.stdout.write(`passed at the second try only: ${name}\n`);
  process.stdout.write(`${passed} passed, ${failed + refused} failed\n`);
}
