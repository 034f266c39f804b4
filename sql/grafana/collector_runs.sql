-- sql/grafana/collector_runs.sql
-- When each collector ran: 1 from its start, 0 from the last value that it stored. At the begin of the chosen time
-- a row says how it was.
WITH runs AS (
  SELECT c.name, r.started_at,
    CASE WHEN r.is_last AND r.stopped_at IS NULL AND c.seen_at > now() - interval '1 minute' THEN 'infinity'
      ELSE coalesce(r.written_up_to, r.started_at) END AS ended_at
  FROM kw.collector_runs r JOIN kw.collectors c USING (collector_id)
)
SELECT time, name AS metric, max(value) AS value
FROM (
  SELECT $__timeFrom()::timestamptz AS time, name,
    bool_or(started_at <= $__timeFrom() AND ended_at >= $__timeFrom())::int AS value
  FROM runs GROUP BY name
  UNION ALL
  SELECT started_at, name, 1 FROM runs WHERE $__timeFilter(started_at)
  UNION ALL
  SELECT ended_at, name, 0 FROM runs WHERE $__timeFilter(ended_at)
) changes
GROUP BY time, name
ORDER BY time
