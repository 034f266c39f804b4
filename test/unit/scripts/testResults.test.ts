import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { packageRoot } from '../../../src/lib/packageRoot.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'kw-results-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function counted(report: unknown, env: NodeJS.ProcessEnv = {}): string {
  const file = join(folder, 'vitest.json');
  if (report !== undefined) writeFileSync(file, JSON.stringify(report));
  const script = join(packageRoot(), 'scripts', 'testResults.js');
  return execFileSync(process.execPath, [script, file], { env, encoding: 'utf8' });
}

function fileOf(status: string, ...tests: [status: string, fullName: string][]): unknown {
  return {
    status,
    assertionResults: tests.map(([testStatus, fullName]) => ({ status: testStatus, fullName })),
  };
}

describe('the closing line of .ci/run', () => {
  test('counts tests', () => {
    const testResults = [
      fileOf('passed', ['passed', 'a'], ['passed', 'b'], ['skipped', 'c']),
      fileOf('failed', ['failed', 'd'], ['passed', 'e']),
    ];
    expect(counted({ testResults })).toBe('3 passed, 1 failed\n');
  });

  test('names what passed at a second try only', () => {
    const tests = [
      { status: 'passed', fullName: 'a', failureMessages: [] },
      { status: 'passed', fullName: 'b', failureMessages: ['Error: too late'] },
    ];
    expect(counted({ testResults: [{ status: 'passed', assertionResults: tests }] })).toBe(
      'passed at the second try only: b\n2 passed, 0 failed\n',
    );
  });

  test('counts a file that cannot be loaded as one that failed', () => {
    expect(counted({ testResults: [fileOf('passed', ['passed', 'a']), fileOf('failed')] })).toBe(
      '1 passed, 1 failed\n',
    );
  });

  test('counts a run without a report as failed', () => {
    expect(counted(undefined)).toBe('0 passed, 1 failed\n');
  });

  test('counts what was skipped as failed where that is forbidden, a native TimescaleDB apart', () => {
    const testResults = [
      fileOf('passed', ['passed', 'a'], ['skipped', 'needs snmpd'], ['pending', 'on native TimescaleDB']),
    ];
    expect(counted({ testResults }, { KW_TEST_NO_SKIP: '1' })).toBe('1 passed, 1 failed\n');
  });
});
