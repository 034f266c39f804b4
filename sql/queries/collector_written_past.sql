-- Every value that an earlier run of the collector, begun at $2, measured before $3 is stored (microseconds since the
-- epoch): the rest of its spool is written by a later one.
WITH run AS (
  SELECT timestamptz 'epoch' + $2::float8 * interval '1 microsecond' AS started_at,
         timestamptz 'epoch' + $3::float8 * interval '1 microsecond' AS written_up_to
)
INSERT INTO kw.past_runs AS p (collector_id, started_at, written_up_to)
SELECT $1, run.started_at, run.written_up_to FROM run WHERE run.written_up_to > run.started_at
ON CONFLICT (collector_id, started_at) DO UPDATE
SET written_up_to = greatest(p.written_up_to, excluded.written_up_to)
