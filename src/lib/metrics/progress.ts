/** Up to when collectors have written, so that nobody takes half of the values for all of them. */
import type { Client } from 'pg';
import { readSql } from '../packageRoot.ts';
import { formatUtc } from '../time.ts';
import { span } from './interval.ts';
import type { Selection } from './selection.ts';

interface Progress {
  readonly collector: string;
  readonly writtenUpToUs: number;
}

/** A selection up to the present always ends a moment after what is written: that much goes without saying. */
const USUAL_LAG_US = 5 * 1e6;
const POLL_MS = 200;

/** The live collectors that have not yet written everything up to the end of the selection. */
async function collectorsBehind(client: Client, selection: Selection): Promise<Progress[]> {
  const endUs = selection.times.at(-1)?.toUs;
  if (endUs === undefined) return [];
  const { rows } = await client.query<{ name: string; written_up_to_us: number | null }>(
    readSql('queries/collectors_progress'),
    [selection.devices === undefined ? null : [...selection.devices.keys()]],
  );
  return rows
    .map((row) => ({ collector: row.name, writtenUpToUs: row.written_up_to_us ?? Number.NEGATIVE_INFINITY }))
    .filter(({ writtenUpToUs }) => writtenUpToUs < endUs);
}

/** Warnings, one a collector. Call it in the snapshot that was read. */
export async function lagWarnings(client: Client, selection: Selection, nowUs: number): Promise<string[]> {
  const behind = await collectorsBehind(client, selection);
  const lagging = behind
    .filter(({ writtenUpToUs }) => !selection.endIsNow || writtenUpToUs < nowUs - USUAL_LAG_US)
    .map(({ collector, writtenUpToUs }) =>
      Number.isFinite(writtenUpToUs)
        ? `the collector ${collector} has written up to ${formatUtc(writtenUpToUs)}: later values may be missing (--wait 30s waits for them)`
        : `the collector ${collector} has written nothing yet: values may be missing (--wait 30s waits for them)`,
    );
  return [...lagging, ...(await endedWarnings(client, selection))];
}

/** Collectors that ended within the time: waiting would not help. */
async function endedWarnings(client: Client, selection: Selection): Promise<string[]> {
  const period = span(selection.times);
  if (period === undefined) return [];
  const { rows } = await client.query<{ name: string; written_up_to_us: number; stopped: boolean }>(
    readSql('queries/collectors_ended'),
    [
      selection.devices === undefined ? null : [...selection.devices.keys()],
      formatUtc(period.fromUs),
      formatUtc(period.toUs),
    ],
  );
  return rows.map(({ name, written_up_to_us, stopped }) => {
    const ended = stopped ? 'was stopped' : 'does not run any more';
    return `the collector ${name} ${ended}; it has written up to ${formatUtc(written_up_to_us)}: later values are missing`;
  });
}

/** Waits until every live collector has written up to the end of the selection, or the time is over. */
export async function waitUntilWritten(client: Client, selection: Selection, waitMs: number): Promise<void> {
  const deadline = performance.now() + waitMs;
  while ((await collectorsBehind(client, selection)).length > 0) {
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) return;
    await new Promise((resolve) => setTimeout(resolve, Math.min(POLL_MS, leftMs)));
  }
}
