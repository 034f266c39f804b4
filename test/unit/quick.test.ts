/** The quick way through the commands of prologs knows exactly what their oclif commands know. */
import { describe, expect, it } from 'vitest';
import { parseQuick, QUICK_COMMANDS, type QuickCommand } from '../../src/cli/quick.ts';
import Disable from '../../src/commands/disable.ts';
import Enable from '../../src/commands/enable.ts';
import JobStart from '../../src/commands/job/start.ts';
import JobStop from '../../src/commands/job/stop.ts';

const OCLIF = { enable: Enable, disable: Disable, jobStart: JobStart, jobStop: JobStop };

interface OclifFlag {
  type: string;
  multiple?: boolean;
  required?: boolean;
  exactlyOne?: string[];
}

describe.each(Object.keys(QUICK_COMMANDS) as (keyof typeof OCLIF)[])('%s', (name) => {
  const quick: QuickCommand = QUICK_COMMANDS[name];
  const flags = Object.entries(OCLIF[name].flags as Record<string, OclifFlag>);

  it('has the same flags', () => {
    const expected = flags.map(([flag, { type, multiple }]) => [
      flag,
      { type: type === 'option' ? 'string' : 'boolean', ...(multiple ? { multiple } : {}) },
    ]);
    expect(quick.options).toEqual({ ...Object.fromEntries(expected), json: { type: 'boolean' } });
  });

  it('requires the same', () => {
    const required = flags.filter(([, flag]) => flag.required).map(([flag]) => flag);
    expect([...quick.required].sort()).toEqual(required.sort());
    const exactlyOne = flags.flatMap(([, flag]) => flag.exactlyOne ?? []);
    expect(quick.exactlyOne).toEqual(exactlyOne);
    const args = Object.values((OCLIF[name] as { args?: Record<string, { required?: boolean }> }).args ?? {});
    expect(quick.arguments).toEqual({ min: args.filter((arg) => arg.required).length, max: args.length });
  });
});

describe('cases for oclif', () => {
  it.each([
    [['enable']],
    [['enable', 'x']],
    [['enable', 'x', '--job', '1', '--device', 'a']],
    [['enable', 'x', 'y', '--job', '1']],
    [['enable', 'x', '--job', '1', '--help']],
    [['enable', 'x', '--job', '1', '--nonsense']],
    [['enable', 'x', '--job']],
    [['enable', '--job', '1', '--', 'x']],
    [['job', 'stop', '--job', '1', '--at', '-10m']],
    [['job', 'list']],
    [['query', '--job', '1']],
    [[]],
  ])('%j', (argv) => {
    expect(parseQuick(argv)).toBeUndefined();
  });

  it('are not the plain ones', () => {
    expect(parseQuick(['enable', 'x', '--job=1', '--for', '2h', '--json'])).toEqual({
      name: 'enable',
      values: { job: '1', for: '2h', json: true },
      positionals: ['x'],
    });
    expect(
      parseQuick(['job', 'start', '--enable', 'a', '--job', '1', '--nodes', 'n', '--enable', 'b'])?.values
        .enable,
    ).toEqual(['a', 'b']);
  });
});
