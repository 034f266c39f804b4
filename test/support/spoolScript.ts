/**
 * A run of a spool with everything in it (appends alone and together, rotation, acknowledgement, drops, rows set aside,
 * a disk that fails twice), to be stopped anywhere; and what must be found after it was.
 */
import { deepStrictEqual, ok } from 'node:assert/strict';
import type { RecordContent, SpoolOptions, StoredRecord } from '../../src/lib/spool/model.ts';
import type { Spool } from '../../src/lib/spool/spool.ts';

const SCRIPT_OWNER = '0f8fad5b-d9cb-469f-a165-70867728950e';

/** What happened, in order: `appending`, `resolved`, `rejected`, `gone` (acknowledged or dropped) and a name; `number`. */
export type Note = readonly [what: 'appending' | 'resolved' | 'rejected' | 'gone' | 'number', which: string];

export function scriptOptions(note: (note: Note) => void): SpoolOptions {
  return {
    ownerId: SCRIPT_OWNER,
    maxBytes: 40_000,
    retryMs: 0,
    events: {
      async onDropped(_segment, records) {
        for await (const record of records) note(['gone', nameOf(record)]);
      },
    },
  };
}

/** @param failNext makes the next write fail halfway, or the next sync */
export async function runScript(
  spool: Spool,
  note: (note: Note) => void,
  failNext: (what: 'write' | 'sync') => void,
): Promise<void> {
  let count = 0;
  const append = async (bytes = 300) => {
    const name = `record ${++count}`;
    note(['appending', name]);
    try {
      const place = await spool.append(recordOf(name, bytes));
      note(['resolved', name]);
      note(['number', String(place.segment)]);
      return { name, place };
    } catch {
      note(['rejected', name]);
      return undefined;
    }
  };
  const acknowledge = async (upTo: Awaited<ReturnType<typeof append>>) => {
    if (!upTo) return;
    for await (const record of spool.read(upTo.place.segment)) {
      if (record.place.offset <= upTo.place.offset) note(['gone', nameOf(record)]);
    }
    spool.acknowledge(upTo.place);
  };
  await append();
  const second = await append();
  await Promise.all([append(), append(2000), append()]);
  await acknowledge(second);
  spool.rotate();
  await append(1500);
  failNext('write');
  await Promise.all([append(), append()]);
  const last = await append();
  await acknowledge(last);
  note(['number', String(spool.newSegmentNumber())]);
  failNext('sync');
  await append();
  for (let times = 0; times < 3; times++) await append();
  const place = { segment: 1, offset: 2 };
  const row = { device: 'd', metric: 'm', timestamp: '2026-11-22T10:00:00Z', value: Number.NaN, labels: {} };
  await spool.setAside([{ reason: 'refused', ...row, place }]).catch(() => {});
  // More than fits.
  for (let times = 0; times < 12; times++) await append(4000);
  spool.rotate();
  failNext('sync');
  await append();
  const end = await append();
  await acknowledge(end);
  await spool.close();
}

function recordOf(name: string, bytes: number): RecordContent {
  const payload = Buffer.alloc(bytes);
  for (let index = 0; index < bytes; index++) payload[index] = (name.length * 31 + index * 7) & 0xff;
  return { rows: bytes, meta: { name }, payload };
}

function nameOf({ meta, payload, rows }: StoredRecord): string {
  const { name } = meta as { name: string };
  const whole = recordOf(name, rows);
  if (!Buffer.from(payload).equals(Buffer.from(whole.payload)))
    throw new Error(`${name} is not what was appended`);
  return name;
}

/** Opens what is left after the notes were made, and holds it against them. */
export async function checkRecovered(open: () => Promise<Spool>, notes: readonly Note[]): Promise<void> {
  const named = (...what: string[]) => notes.filter(([kind]) => what.includes(kind)).map(([, name]) => name);
  const appended = named('appending');
  const gone = new Set(named('gone'));
  const rejected = new Set(named('rejected'));
  const spool = await open();
  const found: string[] = [];
  const numbers = named('number').map(Number);
  for (const { segment } of spool.segments()) {
    for await (const record of spool.read(segment)) found.push(nameOf(record));
    numbers.push(segment);
  }
  // Each once and in order, and nothing that its caller was told is not in the spool.
  deepStrictEqual(
    found,
    appended.filter((name) => found.includes(name)),
  );
  deepStrictEqual(
    found.filter((name) => rejected.has(name)),
    [],
  );
  const promised = named('resolved').filter((name) => !gone.has(name));
  deepStrictEqual(
    promised.filter((name) => !found.includes(name)),
    [],
  );
  const { damages, filesSetAside, filesUnreadable } = spool.counters;
  deepStrictEqual(
    { damages, filesSetAside, filesUnreadable },
    { damages: 0, filesSetAside: 0, filesUnreadable: 0 },
  );
  ok(spool.newSegmentNumber() > Math.max(0, ...numbers));
  const place = await spool.append(recordOf('afterwards', 10));
  ok(place.segment > Math.max(0, ...numbers));
  await spool.close();
}
