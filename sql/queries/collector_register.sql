-- A collector connects. At the first time of a run the run before becomes a past one, if it stored anything.
WITH start AS (
  SELECT timestamptz 'epoch' + $5::float8 * interval '1 microsecond' AS started_at
), past AS (
  INSERT INTO kw.past_runs (collector_id, started_at, written_up_to, stopped_at)
  SELECT c.collector_id, c.started_at, c.written_up_to, c.stopped_at
  FROM kw.collectors c, start
  WHERE c.collector_id = $1 AND c.started_at <> start.started_at AND c.written_up_to > c.started_at
  ON CONFLICT DO NOTHING
)
INSERT INTO kw.collectors AS c (collector_id, name, host, version, started_at, seen_at, endpoint)
SELECT $1, $2, $3, $4, started_at, clock_timestamp(), $6 FROM start
ON CONFLICT (collector_id) DO UPDATE
SET name = excluded.name, host = excluded.host, version = excluded.version, started_at = excluded.started_at,
  seen_at = excluded.seen_at, endpoint = excluded.endpoint, stopped_at = NULL
