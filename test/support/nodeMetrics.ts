/** What tests of schedulers measure on the nodes of jobs, and the answer for a job in the words of the rows themselves. */
import type { Client } from 'pg';
import type { MetricEntry } from '../../src/lib/config/model.ts';
import { pduEntries } from './collector.ts';
import type { Snmpd } from './snmpd.ts';

/** Of each node, at an address of its own: one metric that is always read, two that are read on demand. */
export function nodeEntries(nodes: readonly string[], agent: Snmpd): MetricEntry[] {
  return nodes.flatMap((node, index) => {
    const of = (name: string, optional: boolean) =>
      pduEntries(node, agent.addresses[index] as string, agent.port, {
        outlets: 1,
        name,
        optional,
        updateEveryMs: 500,
      });
    return [
      ...of('always_watt', false),
      ...of('wattmetre_power_watt', true),
      ...of('board_power_watt', true),
    ];
  });
}

/** What a scheduler's jobs have enabled: `job node pattern`. */
export async function promotedBy(client: Client, source: string): Promise<string[]> {
  const { rows } = await client.query<{ text: string }>(
    `SELECT job_id || ' ' || device_id || ' ' || metric_id AS text FROM kw.promoted_metrics
     WHERE source = $1 ORDER BY 1`,
    [source],
  );
  return rows.map(({ text }) => text);
}

export interface TracedPromotion {
  readonly job: number;
  readonly device: string;
  readonly pattern: string;
  readonly fromS: number;
  /** Undefined while it is enabled. */
  readonly toS: number | undefined;
}

/** Notes from now on when promotions of jobs begin and end; the answer gives them, by job. */
export async function tracePromotions(client: Client): Promise<() => Promise<TracedPromotion[]>> {
  await client.query(`
    CREATE TABLE public.traced (job_id bigint, device_id text, metric_id text, from_s float8, to_s float8);
    CREATE FUNCTION public.trace() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      DECLARE now_s float8 := extract(epoch FROM clock_timestamp());
      BEGIN
        IF TG_OP = 'INSERT' THEN
          INSERT INTO public.traced VALUES (NEW.job_id, NEW.device_id, NEW.metric_id, now_s, NULL);
        ELSE
          UPDATE public.traced SET to_s = now_s WHERE to_s IS NULL
            AND (job_id, device_id, metric_id) = (OLD.job_id, OLD.device_id, OLD.metric_id);
        END IF;
        RETURN NULL;
      END $$;
    CREATE TRIGGER trace AFTER INSERT OR DELETE ON kw.promoted_metrics FOR EACH ROW EXECUTE FUNCTION public.trace()`);
  return async () => {
    const { rows } = await client.query<TracedPromotion & { toS: number | null }>(
      `SELECT job_id AS job, device_id AS device, metric_id AS pattern, from_s AS "fromS", to_s AS "toS"
       FROM public.traced ORDER BY job_id, device_id, metric_id, from_s`,
    );
    return rows.map((row) => ({ ...row, toS: row.toS ?? undefined }));
  };
}

/** The rows of these nodes between two instants, ends included, as `device metric value seconds`. */
export async function storedRows(
  client: Client,
  nodes: readonly string[],
  [startS, endS]: readonly [number, number],
): Promise<string[]> {
  const { rows } = await client.query<{ text: string }>(
    `SELECT concat_ws(' ', device_id, metric_id, value, extract(epoch FROM timestamp)::numeric(20, 6)) AS text
     FROM kw.metrics WHERE device_id = ANY ($1) AND timestamp BETWEEN to_timestamp($2) AND to_timestamp($3)`,
    [nodes, startS, endS],
  );
  return rows.map(({ text }) => text).sort();
}

/** The rows of an answer of `kw query --format csv`, in the same words. */
export function answeredRows(csv: string): string[] {
  const [, ...lines] = csv.trim().split('\n');
  return lines
    .map((line) => {
      const [time = '', device, metric, value] = line.split(',');
      const [whole, fraction] = /^(.*)\.(\d{6})/.exec(time)?.slice(1) ?? [];
      return `${device} ${metric} ${value} ${Date.parse(`${whole}Z`) / 1000}.${fraction}`;
    })
    .sort();
}
