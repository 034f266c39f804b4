-- Every value that an earlier run of the collector, begun at $2, measured before $3 is stored (microseconds since the
-- epoch): the rest of its spool is written later. The last run of one that does not run again is still the current one.
WITH run AS (
  SELECT timestamptz 'epoch' + $2::float8 * interval '1 microsecond' AS started_at,
         timestamptz 'epoch' + $3::float8 * interval '1 microsecond' AS written_up_to
), current AS (
  UPDATE kw.collectors c SET written_up_to = greatest(c.written_up_to, run.written_up_to)
  FROM run
  WHERE c.collector_id = $1 AND c.started_at = run.started_at
  RETURNING 1
)
INSERT INTO kw.past_runs AS p (collector_id, started_at, written_up_to)
SELECT $1, run.started_at, run.written_up_to FROM run
WHERE run.written_up_to > run.started_at AND NOT EXISTS (SELECT FROM current)
ON CONFLICT (collector_id, started_at) DO UPDATE
SET written_up_to = greatest(p.written_up_to, excluded.written_up_to)
