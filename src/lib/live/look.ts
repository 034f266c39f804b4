/** Looks at the trailing window of a selection: one COPY of stored rows, shown as their devices see them. */
import type { Client } from 'pg';
import { copyOut } from '../database/copyOut.ts';
import { bindLiterals } from '../database/literals.ts';
import { RowDecoder } from '../metrics/decode.ts';
import { DeviceViews } from '../metrics/deviceViews.ts';
import type { MetricFilter } from '../metrics/selectionText.ts';
import { readSql } from '../packageRoot.ts';
import { formatUtc } from '../time.ts';
import type { LiveRow, Look } from './rows.ts';

/** What to look at; names are those of devices and aliases as they are stored. */
export interface LiveSelection {
  /** Undefined is every device. */
  readonly devices: readonly string[] | undefined;
  readonly metrics: MetricFilter | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
}

/** Rows of one window; some 4,000 values a second. */
const MAX_WINDOW_ROWS = 50_000;
/** A collector's clock may be so far ahead of the database's. */
const AHEAD_US = 10e6;

/**
 * @returns looks with any client, one look at a time: it remembers how far back the last one went, since a clock that is
 * set back would show the same rows again
 */
export function makeLook(selection: LiveSelection): (client: Client, windowMs: number) => Promise<Look> {
  const views = new DeviceViews(selection.devices);
  let fromUs = Number.NEGATIVE_INFINITY;
  return async (client, windowMs) => {
    const now = await client.query<{ now_us: number }>(
      'SELECT (extract(epoch FROM clock_timestamp()) * 1e6)::bigint AS now_us',
    );
    const nowUs = now.rows[0]?.now_us ?? 0;
    fromUs = Math.max(fromUs, nowUs - Math.round(windowMs * 1000));
    const sql = bindLiterals(readSql('queries/metrics_read'), {
      from: formatUtc(fromUs),
      to: formatUtc(Math.max(fromUs, nowUs + AHEAD_US)),
      devices: selection.devices ?? null,
      aliases: selection.devices !== undefined,
      metrics: selection.metrics?.names ?? null,
      metric_patterns: selection.metrics?.patterns ?? [],
      labels: selection.labels === undefined ? null : JSON.stringify(selection.labels),
      limit: MAX_WINDOW_ROWS + 1,
    });
    const rows: LiveRow[] = [];
    let stored = 0;
    const decoder = new RowDecoder((timestampUs, value, series) => {
      if (++stored > MAX_WINDOW_ROWS) return;
      for (const view of views.of(series)) rows.push({ timestampUs, value, series: view });
    });
    for await (const chunk of copyOut(client, `COPY (${sql}) TO STDOUT (FORMAT binary)`))
      decoder.decode(chunk);
    return { rows, cut: stored > MAX_WINDOW_ROWS };
  };
}
