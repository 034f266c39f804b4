-- How many values the job $2 of source $1 has so far, by metric.
SELECT metric_id, count(DISTINCT device_id)::int AS devices, count(*) AS values,
  (extract(epoch FROM max(timestamp)) * 1e6)::bigint AS last_us
FROM kw.metrics_by_job
WHERE source = $1 AND job_id = $2
GROUP BY metric_id
ORDER BY metric_id;
