INSERT INTO kw.collectors AS c (collector_id, name, host, version, started_at, seen_at, endpoint)
VALUES ($1, $2, $3, $4, timestamptz 'epoch' + $5::float8 * interval '1 microsecond', clock_timestamp(), $6)
ON CONFLICT (collector_id) DO UPDATE
SET name = excluded.name, host = excluded.host, version = excluded.version, started_at = excluded.started_at,
  seen_at = excluded.seen_at, endpoint = excluded.endpoint, stopped_at = NULL
