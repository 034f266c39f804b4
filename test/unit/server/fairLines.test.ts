/** Whose turn it is where there are fewer places than requests. */
import { describe, expect, it } from 'vitest';
import { FairLines } from '../../../src/lib/server/fairLines.ts';

function served<T>(lines: FairLines<T>): T[] {
  const all: T[] = [];
  for (let one = lines.next(); one !== undefined; one = lines.next()) all.push(one);
  return all;
}

describe('lines', () => {
  it('take turns, each in its own order', () => {
    const lines = new FairLines<string>({ places: 9, each: 9, kept: 0 });
    for (const name of ['a1', 'a2', 'a3', 'b1', 'b2', 'c1']) lines.join(name[0], name);
    expect(served(lines)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
    expect([lines.taken, lines.waiting]).toEqual([6, 0]);
  });

  it('give one user no more than the share, and the rest to others', () => {
    const lines = new FairLines<string>({ places: 4, each: 2, kept: 0 });
    for (const name of ['a1', 'a2', 'a3', 'a4']) lines.join('a', name);
    expect(served(lines)).toEqual(['a1', 'a2']);
    expect([lines.isAtBound('a'), lines.peek()]).toEqual([true, undefined]);
    lines.join('b', 'b1');
    expect(served(lines)).toEqual(['b1']);
    lines.giveBack('a');
    expect(served(lines)).toEqual(['a3']);
  });

  it('keep a place for the server itself, which goes first', () => {
    const lines = new FairLines<string>({ places: 3, each: 3, kept: 1 });
    for (const name of ['a1', 'b1', 'c1']) lines.join(name[0], name);
    expect(served(lines)).toEqual(['a1', 'b1']);
    lines.join(undefined, 'own1');
    lines.join(undefined, 'own2');
    expect(served(lines)).toEqual(['own1']);
    lines.giveBack('a');
    expect(served(lines)).toEqual(['own2']);
    lines.giveBack(undefined);
    expect(lines.peek()).toBe('c1');
  });

  it('forget who leaves', () => {
    const lines = new FairLines<string>({ places: 2, each: 1, kept: 0 });
    lines.join('a', 'a1');
    lines.join('b', 'b1');
    lines.leave('a', 'a1');
    lines.leave('a', 'a1');
    expect(lines.waiting).toBe(1);
    expect(served(lines)).toEqual(['b1']);
  });
});
