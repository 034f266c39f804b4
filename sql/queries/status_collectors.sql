-- Times in microseconds since the epoch. age_s: by the clock of the database.
SELECT collector_id AS id, name, host, version,
  (extract(epoch FROM started_at) * 1e6)::bigint AS started_us,
  (extract(epoch FROM seen_at) * 1e6)::bigint AS seen_us,
  (extract(epoch FROM stopped_at) * 1e6)::bigint AS stopped_us,
  (extract(epoch FROM written_up_to) * 1e6)::bigint AS written_us,
  extract(epoch FROM clock_timestamp() - seen_at)::float8 AS age_s,
  extract(epoch FROM clock_timestamp() - written_up_to)::float8 AS lag_s,
  (counters ->> 'reported_us')::bigint AS reported_us,
  counters - 'reported_us' AS counters, endpoint
FROM kw.collectors
WHERE seen_at > now() - interval '30 days'
ORDER BY name, started_at
