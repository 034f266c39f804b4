/** Up to when collectors have written, so that nobody takes half of the values for all of them. */
import type { Client } from 'pg';
import { readSql } from '../packageRoot.ts';
import { formatUtc } from '../time.ts';
import type { Selection } from './selection.ts';

interface Progress {
  readonly collector: string;
  readonly writtenUpToUs: number;
}

/** A selection up to the present always ends a moment after what is written: that much is no reason to warn. */
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

/**
 * Warnings, one a collector that is behind; or a remark if the answer goes up to the present and lags as little as usual.
 * Call it in the snapshot that was read.
 */
export async function lagWarnings(
  client: Client,
  selection: Selection,
  nowUs: number,
  waitedMs: number,
): Promise<{ warnings: string[]; remark: string | undefined; completeUpToUs: number }> {
  const behind = await collectorsBehind(client, selection);
  const isUsual = ({ writtenUpToUs }: Progress) =>
    selection.endIsNow && waitedMs === 0 && writtenUpToUs >= nowUs - USUAL_LAG_US;
  const hint = waitedMs === 0 ? '--wait 30s waits for them' : `waited for ${waitedMs / 1000} s`;
  const warnings = behind
    .filter((progress) => !isUsual(progress))
    .map(({ collector, writtenUpToUs }) =>
      Number.isFinite(writtenUpToUs)
        ? `the collector ${collector} has written up to ${formatUtc(writtenUpToUs)}: later values may be missing (${hint})`
        : `the collector ${collector} has written nothing yet: values may be missing (${hint})`,
    );
  const completeUpToUs = Math.min(nowUs, ...behind.map(({ writtenUpToUs }) => writtenUpToUs));
  if (warnings.length > 0 || behind.length === 0) return { warnings, remark: undefined, completeUpToUs };
  const remark = `complete up to ${formatUtc(completeUpToUs)}; what was read since is on its way (--wait 10s waits for it)`;
  return { warnings, remark, completeUpToUs };
}

/** Waits until every live collector has written up to the end of the selection, or the time is over. */
export async function waitUntilWritten(
  { plain }: { plain<T>(use: (client: Client) => Promise<T>): Promise<T> },
  selection: Selection,
  waitMs: number,
): Promise<void> {
  const deadline = performance.now() + waitMs;
  while ((await plain((client) => collectorsBehind(client, selection))).length > 0) {
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) return;
    await new Promise((resolve) => setTimeout(resolve, Math.min(POLL_MS, leftMs)));
  }
}
