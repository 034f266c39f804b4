/** Mistakes on the command line are told in one sentence, with what was probably meant. */
import { Args, Command, Flags } from '@oclif/core';
import { describe, expect, it } from 'vitest';
import { unknownCommand } from '../../src/cli/unknownCommand.ts';
import { usageError } from '../../src/cli/usageError.ts';
import Query from '../../src/commands/query.ts';

class Sample extends Command {
  static override args = { pattern: Args.string({ required: true, description: 'what to enable' }) };
  static override flags = {
    ...Query.flags,
    job: Flags.string({ required: true }),
  };

  override run(): Promise<void> {
    return Promise.resolve();
  }

  static async mistake(argv: string[]): Promise<Error> {
    const command = new Sample(argv, {
      runHook: () => Promise.resolve({ successes: [], failures: [] }),
    } as never);
    return command.parse(Sample, argv).then(
      () => new Error('no mistake'),
      (error: Error) => error,
    );
  }
}

const told = async (...argv: string[]) => {
  const error = usageError(await Sample.mistake(argv), 'kw sample', Object.keys(Sample.flags));
  return error && [error.message, error.hint, error.exit];
};

describe('mistakes in flags', () => {
  const help = 'kw sample --help tells how it is used';
  it.each([
    [
      ['p', '--job', '1', '--devise', 'a'],
      'kw sample has no flag --devise',
      `did you mean --device? ${help}`,
    ],
    [['p', '--job', '1', '--devise=a'], 'kw sample has no flag --devise=a', `did you mean --device? ${help}`],
    [['p', '--job', '1', '--zzz'], 'kw sample has no flag --zzz', help],
    [['p', '--job', '1', '--json'], 'kw sample has no flag --json', `write --format json. ${help}`],
    [['p'], '--job is missing', help],
    [['--job', '1'], 'PATTERN is missing: what to enable', help],
    [['p', 'q', '--job', '1'], 'kw sample: unexpected argument "q"', help],
    [['p', '--job'], '--job expects a value', help],
    [['p', '--job', '1', '--limit', 'x'], '--limit: expected an integer but received: x', help],
    [
      ['p', '--job', '1', '--format', 'xml'],
      '--format knows no "xml": it is one of table, csv, json, ndjson',
      help,
    ],
    [['p', '--job', '1', '--agg', 'max'], '--agg needs --every', help],
    [['p', '--job', '1', '--rate', '--summary'], '--rate and --summary exclude each other', help],
  ])('%j', async (argv, message, hint) => {
    expect(await told(...argv)).toEqual([message, hint, 2]);
  });

  it('leaves other errors alone', () => {
    expect(usageError(new TypeError('x'), 'kw sample', [])).toBeUndefined();
  });
});

describe('unknown commands', () => {
  const known = ['query', 'job', 'job:start', 'job:stop', 'export', 'export:csv'];
  it.each([
    ['querry', 'there is no command kw querry', 'did you mean kw query?'],
    ['job:strat', 'there is no command kw job strat', 'did you mean kw job start?'],
    ['exprot:csv', 'there is no command kw exprot csv', 'did you mean kw export csv?'],
    ['frobnicate', 'there is no command kw frobnicate', 'kw --help lists the commands'],
    ['job:frobnicate', 'there is no command kw job frobnicate', 'kw job --help lists the commands'],
    ['query:extra', 'kw query: unexpected argument "extra"', 'kw query --help tells how it is used'],
  ])('%s', (id, message, hint) => {
    const error = unknownCommand(new Error(`command ${id} not found`), known);
    expect([error?.message, error?.hint, error?.exit]).toEqual([message, hint, 2]);
  });

  it('leaves other errors alone', () => {
    expect(unknownCommand(new Error('x'), known)).toBeUndefined();
  });
});
