/**
 * What the spool costs, on the disk of the temporary folder (or of the folder given as argument):
 * `node bench/run.js spool/main [FOLDER]`.
 * A record holds 1,000 rows of 100 bytes, as a batch of 1,000 values has.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { loadCrc32c } from '../../src/lib/spool/crc32c.ts';
import { Spool } from '../../src/lib/spool/spool.ts';

const ROWS = 1000;
const PAYLOAD = Buffer.alloc(ROWS * 100, 'kw');
const RECORDS = 3000;
const ownerId = randomUUID();
const folder = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'kw-bench-spool-'));

interface Measured {
  readonly seconds: number;
  /** Microseconds of user and system time. */
  readonly cpuUs: number;
  readonly stallMs: number;
}

async function measure(work: () => Promise<void>): Promise<Measured> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  await work();
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  delay.disable();
  return { seconds, cpuUs: user + system, stallMs: delay.max / 1e6 };
}

function tell(what: string, { seconds, cpuUs, stallMs }: Measured, records: number): void {
  const mbPerSecond = (records * PAYLOAD.length) / 1e6 / seconds;
  const perRecordUs = cpuUs / records;
  console.log(
    `${what.padEnd(34)}${mbPerSecond.toFixed(0).padStart(6)} MB/s${((seconds * 1000) / records).toFixed(2).padStart(8)} ms a record` +
      `${perRecordUs.toFixed(0).padStart(6)} us of CPU a record, ${(perRecordUs / ROWS).toFixed(3)} a row; ` +
      `the event loop waited ${stallMs.toFixed(1)} ms at most`,
  );
}

async function append(spool: Spool, records: number, atOnce: number): Promise<void> {
  const record = {
    rows: ROWS,
    meta: { run: 1_795_341_600_123_456, horizon: 1, days: [20779] },
    payload: PAYLOAD,
  };
  for (let done = 0; done < records; done += atOnce) {
    await Promise.all(Array.from({ length: atOnce }, () => spool.append(record)));
  }
}

try {
  const crc32c = await loadCrc32c();
  const buffer = Buffer.alloc(500_000, 'crc');
  const crc = await measure(async () => {
    for (let times = 0; times < 1000; times++) crc32c(buffer);
  });
  console.log(`CRC32C of 500 kB: ${(500 / crc.seconds).toFixed(0)} MB/s`);

  const options = { ownerId, maxBytes: 2 ** 40 };
  const spool = await Spool.open(folder, options);
  await append(spool, 100, 1);
  tell('append, one after the other', await measure(() => append(spool, RECORDS, 1)), RECORDS);
  tell('append, eight at a time', await measure(() => append(spool, RECORDS, 8)), RECORDS);
  await spool.close();

  let again: Spool | undefined;
  const opened = await measure(async () => {
    again = await Spool.open(folder, options);
  });
  const found = again as Spool | undefined;
  if (found === undefined) throw new Error('the spool was not opened');
  const waiting = found.segments().reduce((sum, { records }) => sum + records, 0);
  tell(`open with ${(found.bytes / 1e6).toFixed(0)} MB waiting`, opened, waiting);
  const read = await measure(async () => {
    for (const { segment } of found.segments()) {
      for await (const { place } of found.read(segment)) found.acknowledge(place);
    }
  });
  tell('read and acknowledge', read, waiting);
  await found.close();
} finally {
  rmSync(folder, { recursive: true });
}
