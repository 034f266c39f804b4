-- sql/grafana/cluster_sum.sql
-- The metric summed over all devices: for each point the summary of five minutes, of at most 500 points, so that a year
-- is as quick as a day. It ends half an hour before now, when the summary has settled.
WITH points AS MATERIALIZED (
  SELECT generate_series(
    date_bin('5 minutes', $__timeFrom()::timestamptz, '2000-01-01 00:00Z'),
    least($__timeTo()::timestamptz, now() - interval '30 minutes'),
    greatest(1, ceil(($__unixEpochTo() - $__unixEpochFrom()) / 500.0 / 300)) * interval '5 minutes') AS time
)
SELECT p.time, ${metric:sqlstring}::text AS metric, s.value
FROM points p
CROSS JOIN LATERAL (
  SELECT sum(value) AS value FROM kw.summary_visible
  WHERE metric_id = ${metric:sqlstring} AND bucket = p.time AND $__timeFilter(bucket)
) s
WHERE s.value IS NOT NULL
ORDER BY p.time
