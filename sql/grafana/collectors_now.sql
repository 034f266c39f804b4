-- sql/grafana/collectors_now.sql
-- Running collectors: how many, and their worst lag in seconds. A collector that died is silent.
SELECT count(*) FILTER (WHERE seen_at > now() - interval '1 minute') AS running,
  count(*) FILTER (WHERE seen_at <= now() - interval '1 minute') AS silent,
  max(extract(epoch FROM now() - written_up_to))::float8 AS lag,
  coalesce(sum((counters ->> 'lost')::bigint), 0)::bigint AS lost,
  coalesce(sum((counters ->> 'missed')::bigint), 0)::bigint AS missed
FROM kw.collectors
WHERE stopped_at IS NULL AND seen_at > now() - interval '30 days'
