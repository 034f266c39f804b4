-- Times in microseconds since the epoch, lag by the clock of the database. silent: not heard of for ten seconds, or for one
-- and a half of the intervals at which it tells something (status_gaps.sql has the same).
SELECT collector_id AS id, name, host, version,
  (extract(epoch FROM started_at) * 1e6)::bigint AS started_us,
  (extract(epoch FROM seen_at) * 1e6)::bigint AS seen_us,
  (extract(epoch FROM stopped_at) * 1e6)::bigint AS stopped_us,
  (extract(epoch FROM written_up_to) * 1e6)::bigint AS written_us,
  clock_timestamp() - seen_at > greatest(10, 1.5 * least(20, coalesce((counters ->> 'flushIntervalMs')::float8 / 1000, 20)))
    * interval '1 s' AS silent,
  extract(epoch FROM clock_timestamp() - written_up_to)::float8 AS lag_s,
  (counters ->> 'reported_us')::bigint AS reported_us,
  counters - 'reported_us' AS counters, endpoint
FROM kw.collectors
WHERE seen_at > now() - interval '30 days'
ORDER BY name, started_at
