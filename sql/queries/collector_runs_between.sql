-- The runs of collectors that touch the time from $1 to $2, the one before, and the last one. to_us is null while it runs.
-- A collector that was not heard of for a minute does not run.
WITH known AS MATERIALIZED (
  SELECT c.collector_id, c.name, c.seen_at,
    coalesce((SELECT max(p.written_up_to) FROM kw.past_runs p
              WHERE p.collector_id = c.collector_id AND p.written_up_to < $1), $1) AS ended_from
  FROM kw.collectors c
)
SELECT r.collector_id, c.name, r.is_last,
  (extract(epoch FROM r.started_at) * 1e6)::bigint AS from_us,
  CASE WHEN NOT (r.is_last AND r.stopped_at IS NULL AND c.seen_at > now() - interval '1 minute')
    THEN (extract(epoch FROM coalesce(r.written_up_to, r.started_at)) * 1e6)::bigint END AS to_us,
  r.stopped_at IS NOT NULL AS stopped
FROM known c
JOIN kw.collector_runs r USING (collector_id)
WHERE r.is_last OR (r.started_at <= $2 AND r.written_up_to >= c.ended_from)
ORDER BY r.started_at
