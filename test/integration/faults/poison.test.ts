/** Values that the database refuses: they are set aside with its words, and block nothing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TestDatabase, testDatabase } from '../../support/database.ts';
import { expectStoredOnce, untilDrained } from '../../support/faults/expectation.ts';
import { type Load, startLoad } from '../../support/faults/load.ts';

interface Refused {
  readonly device: string;
  readonly metric: string;
  readonly value: number;
  readonly reason: string;
}

describe('values that the database refuses', () => {
  let db: TestDatabase;
  let load: Load | undefined;
  beforeEach(async () => {
    db = await testDatabase();
  });
  afterEach(async () => {
    await load?.remove();
    await db.drop();
  });

  it('stand in refused.ndjson, each once, and all others of their batches are stored', async () => {
    load = await startLoad({
      database: db.url,
      prepare: `ALTER TABLE kw.metrics ADD CONSTRAINT no_seventh CHECK (
        NOT (device_id = 'pdu-7' AND labels ->> 'outlet' = '7') AND (metric_id <> 'wattmetre_power_watt' OR value::bigint % 50 <> 7 OR device_id <> 'wm0-port7'))`,
    });
    await sleep(6_000);
    await untilDrained(load);
    const outcome = await load.settle();
    // Readings of that device lack one metric.
    const readings = outcome.polled.find(({ device }) => device === 'pdu-7')?.damaged ?? 0;
    const frames = outcome.missingFrames;
    expect(readings).toBeGreaterThanOrEqual(5);
    expect(frames).toBeGreaterThanOrEqual(5);
    expectStoredOnce({ ...outcome, damaged: outcome.damaged - readings }, { refused: readings + frames });

    const lines = readFileSync(join(load.collector.folder, 'data/collector/spool/refused.ndjson'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Refused);
    const reasons = new Set(lines.map(({ reason }) => reason));
    expect([...reasons].filter((reason) => !/violates check constraint "no_seventh"/.test(reason))).toEqual(
      [],
    );
    const counts = (wanted: string) => lines.filter(({ device }) => device === wanted).length;
    expect({ all: lines.length, polled: counts('pdu-7'), streamed: counts('wm0-port7') }).toEqual({
      all: readings + frames,
      polled: readings,
      streamed: frames,
    });
    expect(new Set(lines.filter(({ device }) => device === 'wm0-port7').map(({ value }) => value)).size).toBe(
      frames,
    );
  });
});
