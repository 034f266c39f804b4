/** Slurm's answers, of several versions, good and bad. */
import { describe, expect, test } from 'vitest';
import { KwError } from '../../../../src/lib/errors.ts';
import { expandHostList } from '../../../../src/lib/jobs/hostList.ts';
import { parseSacct } from '../../../../src/lib/jobs/slurm/sacct.ts';
import { saidJobs } from '../../../../src/lib/jobs/slurm/saidJobs.ts';
import { parseSqueueJson } from '../../../../src/lib/jobs/slurm/squeueJson.ts';
import { parseSqueueText, squeueFormat } from '../../../../src/lib/jobs/slurm/squeueText.ts';
import { mutated, random } from '../../../support/random.ts';

/** As Slurm 22.05 writes it. */
const OLD = {
  job_id: 41,
  array_job_id: 40,
  array_task_id: 7,
  array_task_string: '',
  het_job_id: 0,
  user_name: 'alice',
  job_state: 'RUNNING',
  nodes: 'n[1-2]',
  start_time: 1795397894,
  end_time: 1826933894,
  submit_time: 1795397893,
  resize_time: 0,
  comment: 'monitor=watt.*',
};
/** As Slurm 23.11 and later write it. */
const NEW = {
  ...OLD,
  array_job_id: { set: true, infinite: false, number: 40 },
  array_task_id: { set: true, infinite: false, number: 7 },
  het_job_id: { set: true, infinite: false, number: 0 },
  job_state: ['RUNNING'],
  start_time: { set: true, infinite: false, number: 1795397894 },
  end_time: { set: true, infinite: true, number: 0 },
  submit_time: { set: true, infinite: false, number: 1795397893 },
  resize_time: { set: false, infinite: false, number: 0 },
};
const answer = (...jobs: unknown[]) => JSON.stringify({ meta: {}, errors: [], warnings: [], jobs });
const one = (job: unknown) => parseSqueueJson(answer(job)).jobs[0];
const running = {
  jobId: 41,
  array: { jobId: 40, index: 7 },
  hetJobId: undefined,
  user: 'alice',
  state: 'running',
  phase: 'running',
  nodes: 'n[1-2]',
  startS: 1795397894,
  endS: undefined,
  submitS: 1795397893,
  resizeS: undefined,
  comment: 'monitor=watt.*',
};

describe('squeue --json', () => {
  test.each([
    ['22.05', OLD],
    ['23.11', NEW],
  ])('of Slurm %s', (_, job) => {
    expect(one(job)).toEqual(running);
  });

  test('tells what waits, runs and is over', () => {
    const phases = (states: string | string[]) => one({ ...OLD, job_state: states })?.phase;
    expect(['PENDING', 'REQUEUE_HOLD', ['PENDING', 'REQUEUED']].map(phases)).toEqual(
      Array(3).fill('waiting'),
    );
    expect(['RUNNING', 'SUSPENDED', 'CONFIGURING', ['RUNNING', 'CONFIGURING']].map(phases)).toEqual(
      Array(4).fill('running'),
    );
    expect(
      ['COMPLETED', 'COMPLETING', 'TIMEOUT', ['CANCELLED', 'COMPLETING'], 'NODE_FAIL'].map(phases),
    ).toEqual(Array(5).fill('over'));
  });

  test('has no run of a job that waits, whose start is a guess of Slurm', () => {
    expect(one({ ...OLD, job_state: 'PENDING', nodes: '' })).toMatchObject({
      startS: undefined,
      endS: undefined,
    });
  });

  test('names a job that is not understood, and keeps the others', () => {
    const { jobs, odd } = parseSqueueJson(answer(OLD, { ...OLD, job_id: 42, job_state: 7 }, 'x'));
    expect(jobs).toEqual([running]);
    expect(odd).toMatchObject([{ jobId: 42 }, { jobId: undefined }]);
    expect(odd[0]?.problem).toContain('job_state');
  });

  test('is an error where squeue says so in its answer, though it exits with 0', () => {
    const away = JSON.stringify({
      errors: [{ description: 'Failed while looking for jobs', error: 'x' }],
      jobs: [],
    });
    expect(() => parseSqueueJson(away)).toThrow(
      expect.objectContaining({ code: 'SLURM_AWAY', message: 'squeue: Failed while looking for jobs' }),
    );
    for (const bad of ['', '[]', '{"jobs": 1}', 'squeue: error', '{"errors": []}'])
      expect(() => parseSqueueJson(bad)).toThrow(expect.objectContaining({ code: 'SLURM_ANSWER' }));
  });

  test('whatever comes is jobs or a sentence', () => {
    const next = random(7);
    const good = Buffer.from(answer(OLD, NEW));
    for (let times = 0; times < 3_000; times++) {
      try {
        for (const job of parseSqueueJson(mutated(good, next).toString()).jobs) {
          expect(Number.isSafeInteger(job.jobId)).toBe(true);
          for (const time of [job.startS, job.endS, job.submitS]) expect(time ?? 1).toBeGreaterThan(0);
        }
      } catch (error) {
        expect(error).toBeInstanceOf(KwError);
      }
    }
  });
});

describe('squeue as text', () => {
  const word = 'kw0123456789abcdef';
  const line = (fields: string) => `${word}|${fields}\n`;
  const good = line('41|40|7|40_7|alice|RUNNING|1795397894|NONE|1795397893|n[1-2]|monitor=watt.*');

  test('is what the JSON is', () => {
    expect(parseSqueueText(good, word)).toEqual([running]);
    expect(squeueFormat(word)).toBe(`${word}|%A|%F|%K|%i|%u|%T|%S|%e|%V|%N|%k`);
    expect(
      parseSqueueText(line('7|7|N/A|6+1|bob|COMPLETED|1795397927|1795397929|1795397894|n2|(null)'), word),
    ).toMatchObject([
      { jobId: 7, hetJobId: 6, array: undefined, phase: 'over', endS: 1795397929, comment: undefined },
    ]);
    expect(parseSqueueText(line('2|2|3|2_3|bob|PENDING|N/A|N/A|1795397894||x'), word)).toMatchObject([
      { phase: 'waiting', nodes: '', startS: undefined },
    ]);
  });

  test('a comment with lines of other jobs makes no job', () => {
    const forged =
      'a|b\n1|1|N/A|1|root|RUNNING|1795397894|NONE|1795397893|n1|x\nkw|2|2|N/A|2|root|RUNNING|1|1|1|n1|';
    const text = line(`5|5|N/A|5|eve|RUNNING|1795397894|NONE|1795397893|n1|${forged}`) + good;
    expect(parseSqueueText(text, word)).toMatchObject([
      { jobId: 5, user: 'eve', comment: forged },
      { jobId: 41 },
    ]);
  });

  test('whatever comes is jobs', () => {
    const next = random(8);
    for (let times = 0; times < 3_000; times++) {
      for (const { jobId, user } of parseSqueueText(
        mutated(Buffer.from(good + good), next).toString(),
        word,
      )) {
        expect(jobId).toBeGreaterThan(0);
        expect(user).not.toBe('');
      }
    }
  });
});

test('sacct tells the last end of jobs, and nothing of their steps', () => {
  const text =
    '12|CANCELLED by 1000|1795397894\n12.batch|CANCELLED|1795397895\n13|RUNNING|Unknown\nx|y\n14||\n';
  expect([...parseSacct(text)]).toEqual([
    [12, { state: 'cancelled', endS: 1795397894 }],
    [13, { state: 'running', endS: undefined }],
    [14, { state: 'unknown', endS: undefined }],
  ]);
});

describe('jobs of kw', () => {
  const said = async (...jobs: unknown[]) => saidJobs(parseSqueueJson(answer(...jobs)).jobs);

  test('an element of an array has its name, and each node its run', async () => {
    expect(await said(OLD)).toEqual({
      jobs: [
        {
          job_id: 41,
          name_id: '40_7',
          owner: 'alice',
          state: 'running',
          comment: 'monitor=watt.*',
          submitted: 1795397893,
          resized: undefined,
          patterns: ['watt.*'],
          runs: [
            { node: 'n1', start: 1795397894, stop: null },
            { node: 'n2', start: 1795397894, stop: null },
          ],
        },
      ],
      problems: [],
    });
  });

  test('components of a heterogeneous job are one job', async () => {
    const part = { ...OLD, array_job_id: 0, array_task_id: null, het_job_id: 50 };
    const { jobs } = await said(
      {
        ...part,
        job_id: 50,
        nodes: 'n1',
        comment: 'monitor=a',
        job_state: 'COMPLETED',
        end_time: 1795397900,
      },
      { ...part, job_id: 51, nodes: 'n2', comment: 'monitor=b' },
    );
    expect(jobs).toMatchObject([
      {
        job_id: 50,
        name_id: '50',
        state: 'running',
        patterns: ['a', 'b'],
        runs: [
          { node: 'n1', stop: 1795397900 },
          { node: 'n2', stop: null },
        ],
      },
    ]);
  });

  test('a list of nodes or a pattern that cannot be read is told, and holds up no other job', async () => {
    const { jobs, problems } = await said(
      { ...OLD, nodes: 'n[1-' },
      { ...OLD, job_id: 43, comment: 'monitor=(?=x) monitor=b' },
    );
    expect(jobs).toMatchObject([{ job_id: 43, patterns: ['b'] }]);
    expect(problems).toMatchObject([{ jobId: 41 }, { jobId: 43 }].toSorted((a, b) => a.jobId - b.jobId));
  });
});

test('host lists as Slurm writes them are its nodes', () => {
  expect(expandHostList('n[1-2]')).toEqual(['n1', 'n2']);
  expect(expandHostList('gpu[001-003,010],login')).toEqual(['gpu001', 'gpu002', 'gpu003', 'gpu010', 'login']);
  expect(expandHostList('rack[0-1]node[1-2]')).toEqual([
    'rack0node1',
    'rack0node2',
    'rack1node1',
    'rack1node2',
  ]);
});
