-- Whether somebody calls kw.maintain() on plain PostgreSQL.
SELECT
  coalesce((SELECT max(day) FROM kw.metrics_partitions) - (now() AT TIME ZONE 'UTC')::date, 0) AS days_ahead,
  extract(epoch FROM now() - (SELECT watermark FROM kw.summary_state))::float8 AS summary_lag_s,
  EXISTS (
    SELECT FROM kw.metrics
    WHERE timestamp >= (SELECT watermark FROM kw.summary_state) AND timestamp < now() - interval '2 hours') AS rows_behind
