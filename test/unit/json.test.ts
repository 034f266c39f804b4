/** The form of --json, see docs/json.md. */
import { describe, expect, it } from 'vitest';
import { errorJson, machineJson } from '../../src/cli/json.ts';

describe('machineJson', () => {
  it('writes keys in snake_case, times as text, and null for what is not known', () => {
    expect(
      machineJson({
        jobId: 7,
        name: undefined,
        lastUs: 1_795_341_600_123_456,
        endUs: undefined,
        createdAtUs: 1_795_341_600_000_000,
        periodMs: 5,
        inner: [{ writtenUpTo: null }, 'aB', 3],
      }),
    ).toEqual({
      job_id: 7,
      name: null,
      last_at: '2026-11-22T10:00:00.123456+00:00',
      end_at: null,
      created_at: '2026-11-22T10:00:00.000000+00:00',
      period_ms: 5,
      inner: [{ written_up_to: null }, 'aB', 3],
    });
  });

  it('leaves the names of labels as they are', () => {
    const labels = JSON.parse('{"cpuCore":"1","__proto__":"x","aUs":"3"}');
    const written = JSON.stringify(machineJson({ labels, timeUs: 0 }));
    expect(written).toBe(
      '{"labels":{"cpuCore":"1","__proto__":"x","aUs":"3"},"time_at":"1970-01-01T00:00:00.000000+00:00"}',
    );
  });
});

it('an error is an object with its sentence, its code and its hint', () => {
  expect(errorJson({ message: 'm', code: 'C', hint: undefined })).toEqual({
    error: { message: 'm', code: 'C', hint: null },
  });
});
