/** Live mode: columns of the server for what was before, then the stream, redrawn a few times a second. */
import { type Envelope, followStream, ServerProblem, type What } from './api.ts';
import type { SeriesColumns } from './lines.ts';
import { Ring, type StreamRow } from './ring.ts';
import type { Span } from './view.ts';

export interface LiveOptions {
  readonly what: What;
  readonly last: number;
  before(time: Span): Promise<Envelope>;
  pixels(): number;
  draw(series: readonly SeriesColumns[], grid: { from: number; columnS: number; columns: number }): void;
  state(text: string): void;
  failed(error: unknown): void;
}

const REDRAW_MS = 250;
const RETRY_MS = 2000;
/** The window of the stream: what is younger comes from there. */
const STREAM_WINDOW_S = 10;

/** @returns what ends it */
export function startLive({ what, last, before, pixels, draw, state, failed }: LiveOptions): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  const ring = new Ring();
  const units = new Map<string, string>();
  let newest: number | undefined;

  const redraw = () => {
    const columns = pixels();
    const columnS = last / columns;
    // Whole columns, so that a value stays in its column while the picture moves.
    const to = Math.ceil(Date.now() / 1000 / columnS) * columnS;
    newest = ring.trim(to - last - columnS);
    const series = ring.columns(to - last, columnS, columns).map((one) => {
      const unit = units.get(`${one.device_id} ${one.metric_id}`);
      return unit === undefined ? one : { ...one, unit };
    });
    draw(series, { from: to - last, columnS, columns });
  };
  const run = async () => {
    const now = Date.now() / 1000;
    const to = now - STREAM_WINDOW_S;
    const filled = await before({ from: now - last, to });
    for (const { device_id, metric_id, unit } of filled.series) {
      if (unit) units.set(`${device_id} ${metric_id}`, unit);
    }
    ring.fill(filled.series, Date.parse(filled.from) / 1000, filled.column_seconds, to);
    while (!signal.aborted) {
      try {
        await followStream(what, { rows, warning: state, open: () => state('Live.') }, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ServerProblem && error.status >= 400 && error.status < 500) throw error;
        state('Live: the connection is broken; trying again.');
      }
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  };
  const rows = (came: readonly StreamRow[]) => {
    for (const row of came) ring.push(row);
    const at = Date.now() / 1000;
    if (newest === undefined || at - newest > 5) state('Live.');
  };
  const timer = setInterval(() => {
    if (!document.hidden) redraw();
  }, REDRAW_MS);
  run().catch((error: unknown) => {
    if (!signal.aborted) failed(error);
  });
  return () => {
    stop.abort();
    clearInterval(timer);
  };
}
