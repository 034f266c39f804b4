/** Programs that cannot be started: a problem of that wattmeter, and never of the process that asks for it. */
import { expect, test } from 'vitest';
import type { Problem } from '../../../../src/lib/devices/driver.ts';
import { openSource } from '../../../../src/lib/devices/wattmeter/source.ts';

const NO_PROGRAM = '/no/such/reader';

function start(program: string, args: readonly string[]): Promise<Problem | undefined> {
  return new Promise((resolve) => {
    const events = { onBytes: () => {}, onRemark: () => {}, onEnd: resolve };
    openSource({ kind: 'program', program, args }, events, undefined);
  });
}

test.each([
  ['that is not there', NO_PROGRAM, [], `there is no program ${NO_PROGRAM}`],
  ['below a file', `${process.execPath}/reader`, [], /cannot be started: spawn ENOTDIR$/],
  ['with endless arguments', process.execPath, ['x'.repeat(4_000_000)], /cannot be started: spawn E2BIG$/],
])('a program %s ends with a problem', async (_what, program, args, message) => {
  expect(await start(program, args)).toEqual({
    kind: 'refused',
    message: typeof message === 'string' ? message : expect.stringMatching(message),
  });
});

test('one that is closed before that was told says nothing, and the closing settles', async () => {
  const events = {
    onBytes: () => {},
    onRemark: () => {},
    onEnd: () => {
      throw new Error('told after the close');
    },
  };
  const program = `${process.execPath}/reader`;
  await openSource({ kind: 'program', program, args: [] }, events, undefined).close();
  await new Promise((resolve) => setImmediate(resolve));
});
