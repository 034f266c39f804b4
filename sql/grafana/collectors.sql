-- sql/grafana/collectors.sql
-- Collectors of the last 30 days. lag: for how long nothing has been stored; the counters are since the start.
SELECT name AS collector, host, version,
  CASE WHEN stopped_at IS NOT NULL THEN 'stopped' WHEN seen_at > now() - interval '1 minute' THEN 'running' ELSE 'silent' END AS state,
  started_at AS started, seen_at AS seen,
  extract(epoch FROM now() - written_up_to)::float8 AS "lag",
  (counters ->> 'targets')::bigint AS targets,
  (counters ->> 'read')::bigint AS read, (counters ->> 'stored')::bigint AS stored,
  (counters ->> 'waiting')::bigint AS waiting, (counters ->> 'missed')::bigint AS missed,
  (counters ->> 'refused')::bigint AS refused, (counters ->> 'lost')::bigint AS lost
FROM kw.collectors
WHERE seen_at > now() - interval '30 days'
ORDER BY name, started_at
