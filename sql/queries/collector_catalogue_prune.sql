-- What was not seen since the transaction began is not configured any more, since $2 (microseconds since the epoch).
-- Of entries it is remembered when they were.
WITH gone AS (
  DELETE FROM kw.metric_catalogue WHERE collector_id = $1 AND seen_at < now()
  RETURNING device_id, metric_id, alias, optional, protocol, since, entry_name
)
INSERT INTO kw.metric_catalogue_past (collector_id, device_id, metric_id, alias, optional, protocol, since, until)
SELECT $1, device_id, metric_id, alias, optional, protocol, since, until
FROM gone, (SELECT timestamptz 'epoch' + $2::float8 * interval '1 microsecond' AS until) u
WHERE entry_name IS NULL AND since < until
