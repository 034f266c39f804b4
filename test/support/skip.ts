/**
 * Tests that need a program of the system (snmpd, psql) skip by name where it is missing, and fail where
 * nothing may skip (KW_TEST_NO_SKIP=1, as in .ci/run).
 *
 *   describe.skipIf(skipUnless('snmpd', hasProgram('snmpd')))('an SNMP agent', () => { ... });
 */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** Daemons of Debian lie in sbin, which ordinary users do not have in their PATH. */
const FOLDERS = [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin'];

/** The path of a program, or undefined. */
export function findProgram(name: string): string | undefined {
  return FOLDERS.map((folder) => join(folder, name)).find(isExecutable);
}

export function hasProgram(name: string): boolean {
  return findProgram(name) !== undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * For `describe.skipIf` and `test.skipIf`: true if what is needed is missing.
 * `need` is told on stderr, once. With KW_TEST_NO_SKIP it throws instead, which fails the file, unless
 * `mayAlwaysSkip` (a native TimescaleDB, which no Debian package brings).
 */
export function skipUnless(need: string, present: boolean, { mayAlwaysSkip = false } = {}): boolean {
  if (present) return false;
  if (process.env.KW_TEST_NO_SKIP && !mayAlwaysSkip) {
    throw new Error(`${need} is missing, and KW_TEST_NO_SKIP forbids to skip`);
  }
  if (!told.has(need)) process.stderr.write(`skipped, for lack of ${need}\n`);
  told.add(need);
  return true;
}

const told = new Set<string>();
