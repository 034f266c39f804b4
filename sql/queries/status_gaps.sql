-- Times of the last day in which collectors read nothing, or lost what they had read; the latest first. until_us is null
-- while nobody has started the collector again. cause: killed, stopped; silent: not heard of (see status_collectors.sql), so
-- killed or cut off; else why values were lost (kw.collector_losses.reason).
WITH known AS MATERIALIZED (
  SELECT c.collector_id, c.name,
    c.seen_at < now() - greatest(10, 1.5 * least(20, coalesce((c.counters ->> 'flushIntervalMs')::float8 / 1000, 20)))
      * interval '1 s' AS is_silent,
    -- The last run that ended before the day began: the gap behind it may reach into the day.
    (SELECT max(p.written_up_to) FROM kw.past_runs p
     WHERE p.collector_id = c.collector_id AND p.written_up_to < now() - interval '1 day') AS before
  FROM kw.collectors c
), runs AS (
  SELECT r.*, k.name, k.is_silent, coalesce(r.written_up_to, r.started_at) AS ended_at,
    lead(r.started_at) OVER (PARTITION BY r.collector_id ORDER BY r.started_at) AS next_at
  FROM kw.collector_runs r JOIN known k USING (collector_id)
  WHERE r.is_last OR k.before IS NULL OR r.written_up_to >= k.before
), gaps AS (
  SELECT collector_id, name, ended_at AS gap_from, next_at AS gap_until, NULL::bigint AS samples,
    CASE WHEN stopped_at IS NOT NULL THEN 'stopped' WHEN is_last THEN 'silent' ELSE 'killed' END AS cause
  FROM runs
  WHERE (next_at > ended_at AND next_at > now() - interval '1 day')
    OR (is_last AND ended_at > now() - interval '1 day'
      AND (stopped_at IS NOT NULL OR is_silent))
  UNION ALL
  SELECT l.collector_id, c.name, l.lost_from, l.lost_until, l.samples, l.reason
  FROM kw.collector_losses l JOIN kw.collectors c USING (collector_id)
  WHERE l.lost_until > now() - interval '1 day'
)
SELECT collector_id, name AS collector, cause, samples::float8 AS samples,
  (extract(epoch FROM gap_from) * 1e6)::bigint AS from_us,
  (extract(epoch FROM gap_until) * 1e6)::bigint AS until_us
FROM gaps
ORDER BY gap_from DESC, name
LIMIT 1000
