-- How many values the job $2 of source $1 has so far, by metric.
SELECT metric_id, count(DISTINCT device_id)::int AS devices, count(*) AS values,
  (extract(epoch FROM max(timestamp)) * 1e6)::bigint AS last_us
FROM (SELECT DISTINCT node, start_time, stop_time FROM kw.job_nodetimes($2, $1) WHERE problem IS NULL) j
CROSS JOIN LATERAL (
  SELECT timestamp, device_id, metric_id
  FROM kw.metrics_visible
  WHERE device_id = j.node AND timestamp >= j.start_time AND timestamp <= coalesce(j.stop_time, 'infinity')
  UNION ALL
  -- Several origins with one alias, as in kw.metrics_by_job: one value.
  SELECT timestamp, j.node, metric_id
  FROM kw.metrics_visible
  WHERE labels ->> '_device_alias' = j.node
    AND timestamp >= j.start_time AND timestamp <= coalesce(j.stop_time, 'infinity')
  GROUP BY timestamp, metric_id, labels
) m
GROUP BY metric_id
ORDER BY metric_id;
