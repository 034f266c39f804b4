import { describe, expect, it } from 'vitest';
import { parseJobRef } from '../../../src/lib/jobs/jobRef.ts';

describe('a reference to a job', () => {
  it.each([
    ['1234', { source: undefined, jobId: 1234, nameId: undefined, text: '1234' }],
    ['1234_7', { source: undefined, jobId: undefined, nameId: '1234_7', text: '1234_7' }],
    ['oar:1234', { source: 'oar', jobId: 1234, nameId: undefined, text: 'oar:1234' }],
    ['slurm:9_0', { source: 'slurm', jobId: undefined, nameId: '9_0', text: 'slurm:9_0' }],
  ])('%j', (text, ref) => {
    expect(parseJobRef(text, {})).toEqual(ref);
  });

  it('is the job around it when it is "current", OAR before Slurm', () => {
    expect(parseJobRef('current', { SLURM_JOB_ID: '7' })).toMatchObject({ jobId: 7, text: '7' });
    expect(parseJobRef('current', { SLURM_JOB_ID: '7', OAR_JOB_ID: '8' })).toMatchObject({ jobId: 8 });
    expect(() => parseJobRef('current', { OAR_JOB_ID: '' })).toThrow(
      expect.objectContaining({ code: 'NO_CURRENT_JOB' }),
    );
  });

  it.each([
    '',
    'x',
    '-1',
    '1.5',
    '1 2',
    "1'",
    '1234_',
    '_7',
    ':1',
    '9007199254740992',
    '1'.repeat(1e6),
    'a\0:1',
  ])('refuses %j', (text) => {
    expect(() => parseJobRef(text, {})).toThrow(expect.objectContaining({ code: 'BAD_JOB' }));
  });
});
