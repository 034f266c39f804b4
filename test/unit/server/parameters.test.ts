/** Parameters as Kwollect's clients write them. */
import { describe, expect, it } from 'vitest';
import { Parameters } from '../../../src/lib/server/parameters.ts';
import { HttpProblem } from '../../../src/lib/server/problem.ts';

const KNOWN = ['devices', 'summary', 'job_id', 'start_time'];
const of = (raw: Record<string, unknown>) => new Parameters(raw, KNOWN);
const time = { nowUs: 0, timeZone: 'Europe/Paris' };

function problemOf(work: () => unknown): HttpProblem {
  try {
    work();
  } catch (error) {
    if (error instanceof HttpProblem) return error;
    throw error;
  }
  throw new Error('it was taken');
}

describe('parameters', () => {
  it('are as if they were not there when they are empty', () => {
    const empty = of({ devices: '', summary: '', job_id: '', start_time: '' });
    expect(empty.list('devices')).toBeUndefined();
    expect(empty.boolean('summary')).toBe(false);
    expect(empty.integer('job_id')).toBeUndefined();
    expect(empty.timeUs('start_time', time)).toBeUndefined();
  });

  it.each([
    ['a,b', ['a', 'b']],
    ['a,,b,', ['a', 'b']],
    [
      ['a', 'b,c'],
      ['a', 'b', 'c'],
    ],
    [',', undefined],
  ])('lists: %j', (value, expected) => {
    expect(of({ devices: value }).list('devices')).toEqual(expected);
  });

  it.each([
    ...['True', 'true', 'TRUE', 't', '1', 'yes', 'on', true].map((value) => [value, true]),
    ...['False', 'false', '0', 'no', 'off', 'None', '', false, null].map((value) => [value, false]),
  ])('booleans: %j', (value, expected) => {
    expect(of({ summary: value }).boolean('summary')).toBe(expected);
  });

  it.each([
    // Local to the site.
    ['2020-12-31T23:00:00', '2020-12-31T22:00:00Z'],
    ['2020-12-31T23:00', '2020-12-31T22:00:00Z'],
    ['2020-12-31 23:00:00', '2020-12-31T22:00:00Z'],
    ['2020-06-30T23:00', '2020-06-30T21:00:00Z'],
    ['2020-12-31', '2020-12-30T23:00:00Z'],
    // A plus that arrived as a blank.
    ['2020-12-31T23:00:00 01:00', '2020-12-31T22:00:00Z'],
    ['2020-12-31T23:00:00.250 01:00', '2020-12-31T22:00:00.250Z'],
    ['2020-12-31T23:00:00 0100', '2020-12-31T22:00:00Z'],
    ['2020-12-31T23:00 01', '2020-12-31T22:00:00Z'],
    ['2020-12-31 23:00:00 01:00', '2020-12-31T22:00:00Z'],
    // Offsets as they should be.
    ['2020-12-31T23:00:00+01:00', '2020-12-31T22:00:00Z'],
    ['2020-12-31T22:00:00Z', '2020-12-31T22:00:00Z'],
    ['2020-12-31T20:00:00-0200', '2020-12-31T22:00:00Z'],
    // Epoch seconds, as text and as numbers of JSON.
    ['1609452000', '2020-12-31T22:00:00Z'],
    ['1609452000.25', '2020-12-31T22:00:00.250Z'],
    [1609452000, '2020-12-31T22:00:00Z'],
    ['1.609452e9', '2020-12-31T22:00:00Z'],
    ['1.609452e 09', '2020-12-31T22:00:00Z'],
  ])('times: %j', (value, expected) => {
    expect(of({ start_time: value }).timeUs('start_time', time)).toBe(Date.parse(expected) * 1000);
  });

  it('keep the microseconds of an epoch float', () => {
    expect(of({ start_time: '1609452000.123456' }).timeUs('start_time', time)).toBe(1_609_452_000_123_456);
  });

  it.each([
    [
      '2020-10-25T02:30',
      'exists twice',
      'give the offset or UTC: 2020-10-25T00:30:00Z or 2020-10-25T01:30:00Z',
    ],
    [
      '2020-03-29T02:30',
      'does not exist',
      'give the offset or UTC: 2020-03-29T00:30:00Z or 2020-03-29T01:30:00Z',
    ],
  ])('refuse the local time %s, which %s, with both readings', (text, words, hint) => {
    const problem = problemOf(() => of({ start_time: text }).timeUs('start_time', time));
    expect(problem.status).toBe(400);
    expect(problem.message).toContain(words);
    expect(problem.hint).toBe(hint);
  });

  it.each([
    [{ summary: 'maybe' }, (p: Parameters) => p.boolean('summary'), 'summary: is "maybe"'],
    [{ job_id: '12x' }, (p: Parameters) => p.integer('job_id'), 'job_id: is "12x"'],
    [{ job_id: '-1' }, (p: Parameters) => p.integer('job_id'), 'job_id: is "-1"'],
    [{ job_id: '99999999999999999999' }, (p: Parameters) => p.integer('job_id'), 'job_id: is "9999999'],
    [{ devices: ['a', 1] }, (p: Parameters) => p.list('devices'), 'devices: is not a text'],
    [{ devices: { a: 1 } }, (p: Parameters) => p.list('devices'), 'devices: is not a text'],
    [{ devices: 'a\0b' }, (p: Parameters) => p.list('devices'), 'devices: contains a NUL character'],
    [{ job_id: ['1', '2'] }, (p: Parameters) => p.integer('job_id'), 'job_id: is given several times'],
    [{ devices: 'a'.repeat(300) }, (p: Parameters) => p.names('devices', 'device'), 'devices: has a name'],
    [{ start_time: '1609452000000' }, (p: Parameters) => p.timeUs('start_time', time), 'milliseconds?'],
    [{ start_time: 'yesterdayish' }, (p: Parameters) => p.timeUs('start_time', time), 'start_time: '],
  ])('refuse %j', (raw, read, words) => {
    const problem = problemOf(() => read(of(raw)));
    expect(problem.status).toBe(400);
    expect(problem.message).toContain(words);
  });

  it('refuse a name that nobody knows, and say which was meant', () => {
    const problem = problemOf(() => of({ device: 'a' }));
    expect([problem.status, problem.message, problem.hint]).toEqual([
      400,
      'there is no parameter "device"',
      'did you mean devices?',
    ]);
  });
});
