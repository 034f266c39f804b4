-- The run of the collector that began at $2 was stopped in order at $3 (microseconds since the epoch), which it could not
-- tell. How many runs that is: none while nothing of it is stored.
WITH told AS (
  SELECT timestamptz 'epoch' + $2::float8 * interval '1 microsecond' AS started_at,
         timestamptz 'epoch' + $3::float8 * interval '1 microsecond' AS stopped_at
), current AS (
  UPDATE kw.collectors c SET stopped_at = told.stopped_at
  FROM told
  WHERE c.collector_id = $1 AND c.started_at = told.started_at
  RETURNING 1
), past AS (
  UPDATE kw.past_runs p SET stopped_at = told.stopped_at
  FROM told
  WHERE p.collector_id = $1 AND p.started_at = told.started_at
  RETURNING 1
)
SELECT ((SELECT count(*) FROM current) + (SELECT count(*) FROM past))::int AS runs
